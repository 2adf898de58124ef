"""The process's S3 clients, and the engine for a bucket."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from botocore.config import Config

from adapters.aws.client import check_lease, shared_client
from adapters.aws.config import DEFAULT_REGION
from adapters.aws.credentials import Identity, reference_of
from adapters.s3.boto3_engine import Boto3Engine
from adapters.s3.config import S3Config
from adapters.s3.engine import Engine
from adapters.s3.obstore_engine import ObstoreEngine
from adapters.s3.obstore_rule import mocked, route_fits
from adapters.s3.obstore_store import KeptStore, make_store, usable
from commands.scope import Scope

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_s3 import S3Client

log = structlog.get_logger("signalbox.s3")

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
# Retries belong to the executor; the second attempt is for a pooled connection gone stale.
ATTEMPTS = 2
POOL_CONNECTIONS = 64
MAX_STORES = 64
"""Buckets of one connection that obstore keeps sockets for."""
CREDENTIALS_SECONDS = 1.0
"""For so long it is not asked whether there are newer ones."""


class Connection:
    """A client, and obstore's stores for the buckets that are reached in the same way."""

    def __init__(self, identity: Identity, config: S3Config) -> None:
        self.client = _make_client(identity, config)
        # Those that the client signs with, which it has found by now.
        self._credentials = identity.session.get_credentials()
        self._lock = threading.Lock()
        self._stores: dict[str, tuple[ReadOnlyCredentials, KeptStore | None]] = {}

    def store(self, config: S3Config) -> KeptStore | None:
        """That for the bucket and the credentials of now; None where obstore is not to be used."""
        if self._credentials is None or mocked():
            return None
        frozen = self._credentials.get_frozen_credentials()
        with self._lock:
            kept = self._stores.get(config.bucket)
            if kept is not None and kept[0] == frozen:
                return kept[1]
            store = make_store(config, self.client, frozen) if usable(self.client) else None
            if store is None:
                log.warning(
                    "boto3 alone, after a fork or for the environment", bucket=config.bucket
                )
            if len(self._stores) >= MAX_STORES:
                self._stores.clear()
            self._stores[config.bucket] = frozen, store
            return store


@dataclass(frozen=True)
class _Kept:
    engine: Engine
    pid: int
    until: float


class Access:
    """The way to one bucket with one scope's identity."""

    def __init__(self, config: S3Config, scope: Scope) -> None:
        self.config = config
        self._scope = scope
        self._fits = route_fits(config)
        self._kept: _Kept | None = None

    def engine(self) -> Engine:
        """To be asked anew for each command, so that a forked child never uses its parent's.

        No call to the bucket; raises Misconfigured or a botocore error for a bad reference.
        """
        kept, now = self._kept, time.monotonic()
        if kept and now < kept.until and kept.pid == os.getpid() and not mocked():
            return kept.engine
        connection = _connection(self.config, self._scope)
        boto3 = Boto3Engine(connection.client, self.config, self._scope)
        store = connection.store(self.config) if self._fits else None
        engine = boto3 if store is None else ObstoreEngine(store, boto3)
        self._kept = _Kept(engine, os.getpid(), now + CREDENTIALS_SECONDS)
        return engine


def client_for(config: S3Config, scope: Scope | None = None) -> S3Client:
    """The shared client for what of `config` a client depends on, and with session tags of `scope`.

    No call to the backend; raises Misconfigured or a botocore error for a bad reference.
    """
    return _connection(config, scope).client


def _connection(config: S3Config, scope: Scope | None) -> Connection:
    distinct = ("s3", config.own_region, config.endpoint, config.style, config.checksums)
    made: Connection = shared_client(
        reference_of(config, scope), distinct, lambda identity: Connection(identity, config)
    )
    return made


def _make_client(identity: Identity, config: S3Config) -> S3Client:
    # What lets S3 refuse a damaged body: a CRC32, or the signed SHA-256 that all know.
    signed = {} if config.checksums == "when_supported" else {"payload_signing_enabled": True}
    client = identity.session.client(
        "s3",
        region_name=config.own_region or identity.region or DEFAULT_REGION,
        endpoint_url=config.endpoint,
        config=Config(  # type: ignore[call-arg]  # ignore_… is not in botocore's stubs
            # Otherwise SigV2 comes back in presigned addresses.
            signature_version="s3v4",
            s3={
                "addressing_style": config.style,
                "us_east_1_regional_endpoint": "regional",
                "use_arn_region": True,
                **signed,
            },  # type: ignore[arg-type]  # Literals widen in a dict
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
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
    client.meta.events.register_first("before-send.s3", check_lease)
    return client


def _never_redirect(context: dict[str, Any], **_: Any) -> None:
    # botocore follows a 301 to another region silently; the route is then wrong, and says so.
    context.setdefault("s3_redirect", {})["redirected"] = True
