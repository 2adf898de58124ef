"""S3 clients of the process, and the choice of the engine for a bucket."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.config import Config

from signalbox.adapters.aws.client import shared_client
from signalbox.adapters.aws.config import DEFAULT_REGION
from signalbox.adapters.aws.credentials import Identity, reference_of
from signalbox.adapters.aws.query_signature import Signer
from signalbox.adapters.deadline import CONNECT_SECONDS, REQUEST_SECONDS
from signalbox.adapters.s3.boto3_engine import Boto3Engine
from signalbox.adapters.s3.config import S3Config
from signalbox.adapters.s3.engine import Engine
from signalbox.adapters.s3.expiry import enforce
from signalbox.adapters.s3.wire import POOL_CONNECTIONS, Wire
from signalbox.adapters.s3.wire_engine import WireEngine
from signalbox.adapters.s3.wire_rule import environment_fits, mocked, route_fits
from signalbox.adapters.service_clock import ServiceClock
from signalbox.commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The executor retries; the second attempt is for a stale pooled connection.
ATTEMPTS = 2
MAX_WIRES = 64
"""Maximum number of buckets of a connection whose sockets are kept."""
CREDENTIALS_SECONDS = 1.0
"""Seconds for which credentials are used without a check for newer ones."""


class Connection:
    """A client, and our own connections to the hosts of its buckets."""

    def __init__(self, identity: Identity, config: S3Config) -> None:
        self.client = _make_client(identity, config)
        self.clock = ServiceClock()
        # The credentials that the client signs with, which it has loaded by now.
        self._credentials: Any = identity.session.get_credentials()
        enforce(self.client, self._credentials, self.clock)
        self._fits = environment_fits(self.client.meta.endpoint_url)
        self._lock = threading.Lock()
        self._wires: dict[str, Wire] = {}

    def engine(self, boto3: Boto3Engine) -> Engine:
        """Return the engine for a bucket, with the current credentials."""
        config = boto3.config
        if self._credentials is None or not self._fits or mocked() or not route_fits(config):
            return boto3
        secrets = self._credentials.get_frozen_credentials()
        signer = Signer(
            secrets.access_key or "",
            secrets.secret_key or "",
            secrets.token,
            self.client.meta.region_name,
        )
        return WireEngine(self._wire(config), signer, self.clock, boto3)

    def _wire(self, config: S3Config) -> Wire:
        endpoint = self.client.meta.endpoint_url
        if config.style == "virtual":
            parts = urlsplit(endpoint)
            endpoint = parts._replace(netloc=f"{config.bucket}.{parts.netloc}").geturl()
        with self._lock:
            wire = self._wires.get(endpoint)
            if wire is None:
                # A wire in use is freed with its last reference.
                if len(self._wires) >= MAX_WIRES:
                    self._wires.clear()
                wire = self._wires[endpoint] = Wire(endpoint)
            return wire


@dataclass(frozen=True)
class _Kept:
    engine: Engine
    pid: int
    until: float


class Access:
    """Access to one bucket with one scope's identity."""

    def __init__(self, config: S3Config, scope: Scope) -> None:
        self.config = config
        self._scope = scope
        self._kept: _Kept | None = None

    def engine(self) -> Engine:
        """Return the engine.

        Must be called for each command, so that a forked child never uses its parent's. Makes no
        call to the bucket. Raises Misconfigured, or a botocore error for an invalid reference.
        """
        kept, now = self._kept, time.monotonic()
        if kept and now < kept.until and kept.pid == os.getpid() and not mocked():
            return kept.engine
        connection = _connection(self.config, self._scope)
        engine = connection.engine(
            Boto3Engine(connection.client, self.config, self._scope, connection.clock)
        )
        self._kept = _Kept(engine, os.getpid(), now + CREDENTIALS_SECONDS)
        return engine


def client_for(config: S3Config, scope: Scope | None = None) -> S3Client:
    """Return the shared client for a config, and with session tags for the scope.

    Makes no network call. Raises Misconfigured, or a botocore error for an invalid reference.
    """
    return _connection(config, scope).client


def _connection(config: S3Config, scope: Scope | None) -> Connection:
    distinct = ("s3", config.own_region, config.endpoint, config.style, config.checksums)
    made: Connection = shared_client(
        reference_of(config, scope), distinct, lambda identity: Connection(identity, config)
    )
    return made


def _make_client(identity: Identity, config: S3Config) -> S3Client:
    # Lets S3 refuse a damaged body: by a CRC32, or by the signed SHA-256 that all services know.
    signed = {} if config.checksums == "when_supported" else {"payload_signing_enabled": True}
    client = identity.session.client(
        "s3",
        region_name=config.own_region or identity.region or DEFAULT_REGION,
        endpoint_url=config.endpoint,
        config=Config(  # type: ignore[call-arg]  # ignore_… is not in botocore's stubs
            # Otherwise presigned URLs would have SigV2.
            signature_version="s3v4",
            s3={
                "addressing_style": config.style,
                "us_east_1_regional_endpoint": "regional",
                "use_arn_region": True,
                **signed,
            },  # type: ignore[arg-type]  # Literals widen in a dict
            connect_timeout=CONNECT_SECONDS,
            read_timeout=REQUEST_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=POOL_CONNECTIONS,
            tcp_keepalive=True,
            request_checksum_calculation=config.checksums,
            response_checksum_validation=config.checksums,
            # AWS_ENDPOINT_URL would send data elsewhere than the route says.
            ignore_configured_endpoint_urls=True,
        ),
    )
    client.meta.events.register_last("before-parameter-build.s3", _never_redirect)
    return client


def _never_redirect(context: dict[str, Any], **_: Any) -> None:
    # botocore would silently follow a 301 to another region, which hides a wrong route.
    context.setdefault("s3_redirect", {})["redirected"] = True
