"""Azure clients of the process: one per account and credentials reference.

Nothing survives a fork: the child begins with an empty cache.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

import requests
from azure.storage.blob import BlobServiceClient

from signalbox.adapters.azure_blob import credential
from signalbox.adapters.azure_blob.config import AzureConfig
from signalbox.adapters.azure_blob.expiry import BoundedTransport
from signalbox.adapters.azure_blob.signature import signer_for
from signalbox.adapters.azure_blob.timed import TimedAdapter
from signalbox.adapters.client_cache import ClientCache
from signalbox.adapters.deadline import CONNECT_SECONDS, REQUEST_SECONDS

CHUNK_BYTES = 4 * 1024**2
POOL_CONNECTIONS = 64
MAX_CLIENTS = 256


def client_for(config: AzureConfig) -> BlobServiceClient:
    """Return the shared client; makes no network call.

    Raises Misconfigured for an invalid reference.
    """
    # Includes the time of the file, so that a rotated key makes a new client.
    key = (
        config.account_url,
        credential.reference(config),
        credential.changed(config),
        config.weaker_fences,
    )
    return _clients.get(key, lambda: _make_client(config))


_clients = ClientCache[Hashable, BlobServiceClient](MAX_CLIENTS)


def _forget() -> None:
    global _clients
    _clients = ClientCache(MAX_CLIENTS)


os.register_at_fork(after_in_child=_forget)


def _make_client(config: AzureConfig) -> BlobServiceClient:
    session = requests.Session()
    pool = TimedAdapter(pool_connections=8, pool_maxsize=POOL_CONNECTIONS)
    session.mount("https://", pool)
    session.mount("http://", pool)
    # Proxies and certificates of the environment are the operator's, but its credentials must not
    # be used: requests would replace the route's by those of a .netrc.
    session.auth = _leave_as_signed
    transport = BoundedTransport(session, config.account_url)
    client = BlobServiceClient(
        config.account_url,
        credential=_credential(config),
        transport=transport,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=REQUEST_SECONDS,
        # The executor retries.
        retry_total=0,
        # Data must go only where the route says.
        permit_redirects=False,
        max_single_put_size=2 * CHUNK_BYTES,
        max_single_get_size=CHUNK_BYTES,
        max_chunk_get_size=CHUNK_BYTES,
    )
    transport.sign = signer_for(config, client)
    return client


def _leave_as_signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _credential(config: AzureConfig) -> Any:
    if (key := credential.account_key(config)) is not None:
        return {"account_name": config.account, "account_key": key}
    if (token := credential.sas_token(config)) is not None:
        return token
    from azure.identity import (
        DefaultAzureCredential,
    )  # takes long to import, and not every route needs it

    return DefaultAzureCredential()
