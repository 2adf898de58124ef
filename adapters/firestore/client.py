"""Firestore channels of the process: one per credentials or emulator, shared by all projects.

A channel must be made in the process that uses it: gRPC does not survive a fork. A child of a
process that has used one gets an error instead of a client that hangs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import google.auth
import grpc  # type: ignore[import-untyped]  # ships no types
from google.api_core import grpc_helpers
from google.auth import exceptions as auth
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports.grpc import FirestoreGrpcTransport
from google.oauth2 import service_account

from signalbox.adapters.client_cache import ClientCache
from signalbox.adapters.credential_file import read_text
from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.commands.error import InternalError, Misconfigured, PermissionDenied

ENDPOINT = "firestore.googleapis.com:443"
SCOPES = ("https://www.googleapis.com/auth/datastore",)
MAX_CLIENTS = 64

MAX_RECEIVED = 16 * 1024 * 1024
"""Maximum size of a message in bytes: it contains one document of 1 MiB, or the results of 500
writes."""
_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    # With the default of two minutes, calls would still fail long after an outage.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_RECEIVED),
]
# Otherwise the proxy of http_proxy would be asked for an emulator on this machine.
_EMULATOR_OPTIONS = [*_OPTIONS, ("grpc.enable_http_proxy", 0)]


@dataclass(frozen=True)
class _Way:
    """What a channel depends on."""

    credentials_file: str | None
    """Path of a key file; None for the worker's own identity."""
    emulator_host: str | None
    """Address of an emulator; None for Firestore itself."""


def client_for(config: FirestoreConfig) -> FirestoreClient:
    """Return the shared client for a config; makes no network call.

    Raises Misconfigured (no such key file), PermissionDenied (no credentials), and InternalError in
    a process forked from one that had a client.
    """
    return _clients.get(config)


def metadata_for(config: FirestoreConfig) -> tuple[tuple[str, str], ...]:
    """Return the metadata sent with each call."""
    sent = (("google-cloud-resource-prefix", config.database_name),)
    # An emulator takes this for the project's owner, to whom no security rules apply.
    return (*sent, ("authorization", "Bearer owner")) if config.emulator_host else sent


class _Clients:
    def __init__(self, *, of_a_fork: bool = False) -> None:
        self._clients = ClientCache[_Way, FirestoreClient](MAX_CLIENTS)
        self._of_a_fork = of_a_fork

    @property
    def used(self) -> bool:
        return len(self._clients) > 0 or self._of_a_fork

    def get(self, config: FirestoreConfig) -> FirestoreClient:
        if self._of_a_fork:
            raise InternalError(
                "this process was forked from one that was using Firestore",
                next_step="start workers from a process that has run no command on Firestore",
            )
        way = _Way(None if config.emulator_host else config.credentials_file, config.emulator_host)
        return self._clients.get(way, lambda: _make_client(way))


_clients = _Clients()


def _forget() -> None:
    # The parent's threads and sockets do not exist here, and its lock may be held for ever.
    global _clients
    _parents.append(_clients)
    _clients = _Clients(of_a_fork=_clients.used)


_parents: list[_Clients] = []
"""Kept alive in a forked child: closing a channel would wait for threads that do not exist."""

os.register_at_fork(after_in_child=_forget)


def _make_client(way: _Way) -> FirestoreClient:
    if way.emulator_host is not None:
        channel = grpc.insecure_channel(way.emulator_host, options=_EMULATOR_OPTIONS)
    else:
        # Not `create_channel` of the SDK's client, which would read the environment.
        channel = grpc_helpers.create_channel(
            ENDPOINT, credentials=_credentials(way.credentials_file), options=_OPTIONS
        )
    return FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))


def _credentials(credentials_file: str | None) -> google.auth.credentials.Credentials:
    if credentials_file is None:
        try:
            return google.auth.default(scopes=SCOPES)[0]
        except auth.GoogleAuthError as error:
            raise PermissionDenied(
                f"the worker has no Google identity ({type(error).__name__})",
                next_step="give it application default credentials, or set `credentials_file`",
            ) from None
    step = "put the key file there, or name another `credentials_file` in the route"
    text = read_text(credentials_file, step)
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-any-return, no-untyped-call]
            json.loads(text), scopes=SCOPES
        )
    except (ValueError, TypeError, AttributeError, KeyError, auth.GoogleAuthError) as error:
        # The message may quote the file.
        raise Misconfigured(
            f"the credentials_file {credentials_file[-80:]!r} is no service account's key that "
            f"this worker can read ({type(error).__name__})",
            next_step=step,
        ) from None
