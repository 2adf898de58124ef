"""The process's clients of Azure: one for a distinct account and credentials reference.

Nothing here survives a fork: the child begins with an empty cache.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient
from requests.adapters import HTTPAdapter

from adapters.azure_blob.config import AzureConfig
from commands.error import Misconfigured

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
CHUNK_BYTES = 4 * 1024**2
POOL_CONNECTIONS = 64
MAX_CLIENTS = 256


def client_for(config: AzureConfig) -> BlobServiceClient:
    """The shared client. No call to the backend; raises Misconfigured for a bad reference."""
    return _clients.get(config)


def account_key(config: AzureConfig) -> str | None:
    """The account's key, for what is signed here; None if the route has no such reference."""
    return _read(config.account_key_file) if config.account_key_file else None


class _Clients:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[Any, ...], BlobServiceClient] = OrderedDict()

    def get(self, config: AzureConfig) -> BlobServiceClient:
        # With the time of the file: a rotated key makes a new client.
        reference = config.account_key_file or config.sas_file
        key = (config.account_url, reference, _changed(reference))
        with self._lock:
            client = self._clients.pop(key, None) or _make_client(config)
            self._clients[key] = client
            # One that falls out is not closed: another thread may be in the midst of using it.
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client


_clients = _Clients()


def _forget() -> None:
    global _clients
    _clients = _Clients()


os.register_at_fork(after_in_child=_forget)


def _make_client(config: AzureConfig) -> BlobServiceClient:
    session = requests.Session()
    pool = HTTPAdapter(pool_connections=8, pool_maxsize=POOL_CONNECTIONS)
    session.mount("https://", pool)
    session.mount("http://", pool)
    # Proxies and certificates of the environment are the operator's; its credentials are not.
    session.auth = None
    return BlobServiceClient(
        config.account_url,
        credential=_credential(config),
        transport=RequestsTransport(session=session, session_owner=False),
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        # Retries belong to the executor.
        retry_total=0,
        max_single_put_size=2 * CHUNK_BYTES,
        max_single_get_size=CHUNK_BYTES,
        max_chunk_get_size=CHUNK_BYTES,
    )


def _credential(config: AzureConfig) -> Any:
    if config.account_key_file is not None:
        return {"account_name": config.account, "account_key": _read(config.account_key_file)}
    if config.sas_file is not None:
        return _read(config.sas_file).lstrip("?")
    from azure.identity import DefaultAzureCredential  # heavy, and not every route needs it

    return DefaultAzureCredential()


def _read(path: str) -> str:
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"{path} cannot be read: {type(error).__name__}",
            next_step="put the account's key or the SAS token into it, readable for the worker",
        ) from None
    if not text or "\n" in text:
        raise Misconfigured(
            f"{path} does not hold one line", next_step="put the key or the token alone into it"
        )
    return text


def _changed(path: str | None) -> int:
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except OSError:
        return 0
