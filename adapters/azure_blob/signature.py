"""Shared access signatures (SAS) for writes, by the account's key or a user delegation key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from signalbox.adapters.azure_blob.config import AzureConfig
from signalbox.adapters.azure_blob.credential import account_key
from signalbox.adapters.azure_blob.expiry import Sign
from signalbox.adapters.deadline import REQUEST_SECONDS

KEY_LIFE = timedelta(days=1)
"""Life of a user delegation key; a new one is requested after half of it. Azure allows seven
days."""
_EFFECTS = BlobSasPermissions(create=True, write=True, delete=True)


def signer_for(config: AzureConfig, service: BlobServiceClient) -> Sign | None:
    """Return a function that signs writes of single blobs; None if the credentials cannot.

    These are a `sas_file`, and the worker's identity if the route accepts weaker fences.
    """
    secret = account_key(config)
    if secret is None and (config.sas_file is not None or config.weaker_fences == "accept"):
        return None
    with_key: Callable[[], dict[str, Any]]
    with_key = _Lent(service) if secret is None else lambda: {"account_key": secret}

    def sign(container: str, name: str, expiry: int) -> str:
        return generate_blob_sas(
            config.account,
            container,
            name,
            permission=_EFFECTS,
            expiry=datetime.fromtimestamp(expiry, UTC),
            protocol="https" if config.account_url.startswith("https") else None,
            **with_key(),
        )

    return sign


class _Lent:
    """The user delegation key of the worker's identity, which needs permission to request it."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._key: Any = None
        self._until = 0.0

    def __call__(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() > self._until:
                now = datetime.now(UTC)
                self._key = self._service.get_user_delegation_key(
                    now - timedelta(minutes=5), now + KEY_LIFE, timeout=int(REQUEST_SECONDS)
                )
                self._until = time.monotonic() + KEY_LIFE.total_seconds() / 2
            return {"user_delegation_key": self._key}
