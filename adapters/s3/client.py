"""The process's S3 clients: one session a credentials reference, one client a distinct config.

Clients are thread-safe, sessions are not; a client of a shared session costs 0.3 MB, with a
session of its own 12 MB. Nothing here survives a fork: the child begins with empty caches.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from adapters.port import Call
from adapters.s3.config import DEFAULT_REGION, S3Config
from adapters.s3.credentials import CredentialsReference, Identity, make_identity, reference_of
from commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
# Retries belong to the executor; the second attempt is for a pooled connection gone stale.
ATTEMPTS = 2
POOL_CONNECTIONS = 64
MAX_CLIENTS = 256
MAX_IDENTITIES = 64

_call: ContextVar[Call | None] = ContextVar("signalbox_s3_call", default=None)


@contextmanager
def leased(call: Call) -> Iterator[None]:
    """An effect: every request within it, botocore's own second attempt too, needs the lease.

    Raises LeaseExpired before the first byte is sent.
    """
    call.remaining()
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


def client_for(config: S3Config, scope: Scope | None = None) -> S3Client:
    """The shared client for what of `config` a client depends on, and with session tags of `scope`.

    No call to the backend; raises Misconfigured or a botocore error for a bad reference.
    """
    return _clients.get(config, scope)


class _Clients:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identities: OrderedDict[CredentialsReference, Identity] = OrderedDict()
        self._clients: OrderedDict[tuple[Any, ...], S3Client] = OrderedDict()

    def get(self, config: S3Config, scope: Scope | None) -> S3Client:
        reference = reference_of(config, scope)
        key = (reference, config.own_region, config.endpoint, config.style, config.checksums)
        with self._lock:
            client = self._clients.pop(key, None)
            if client is None:
                client = _make_client(self._identity(reference), config)
            self._clients[key] = client
            # One that falls out is not closed: another thread may be in the midst of using it.
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client

    def _identity(self, reference: CredentialsReference) -> Identity:
        identity = self._identities.pop(reference, None) or make_identity(reference)
        self._identities[reference] = identity
        if len(self._identities) > MAX_IDENTITIES:
            self._identities.popitem(last=False)
        return identity


_clients = _Clients()


def _forget() -> None:
    # The parent's sockets and locks are useless in the child, and shared ones are harmful.
    global _clients
    _clients = _Clients()


os.register_at_fork(after_in_child=_forget)


def _make_client(identity: Identity, config: S3Config) -> S3Client:
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
    client.meta.events.register_first("before-send.s3", _check_lease)
    return client


def _never_redirect(context: dict[str, Any], **_: Any) -> None:
    # botocore follows a 301 to another region silently; the route is then wrong, and says so.
    context.setdefault("s3_redirect", {})["redirected"] = True


def _check_lease(**_: Any) -> None:
    call = _call.get()
    if call is not None:
        call.remaining()
