"""Presigned URLs for Azure: shared access signatures (SAS) for one blob.

They are signed with the account's key, or with a user delegation key of the worker's own identity.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from signalbox.adapters.azure_blob.client import client_for
from signalbox.adapters.azure_blob.credential import account_key
from signalbox.adapters.azure_blob.location import Location
from signalbox.adapters.deadline import REQUEST_SECONDS
from signalbox.commands.object_store import PresignedGet, PresignedPut


def sign_get(location: Location, name: str, expires: timedelta) -> PresignedGet:
    """Return a URL from which anyone can read the blob until it expires."""
    url, expires_at = _signed(location, name, expires, BlobSasPermissions(read=True))
    return PresignedGet(url=url, expires_at=expires_at)


def sign_put(location: Location, name: str, content_type: str, expires: timedelta) -> PresignedPut:
    """Return a URL for one PUT, and the headers that Azure requires.

    The uploader chooses content type and size: a SAS cannot enforce them.
    """
    permission = BlobSasPermissions(create=True, write=True)
    url, expires_at = _signed(location, name, expires, permission)
    return PresignedPut(
        url=url,
        headers={"x-ms-blob-type": "BlockBlob", "Content-Type": content_type},
        expires_at=expires_at,
    )


def _signed(
    location: Location, name: str, expires: timedelta, permission: BlobSasPermissions
) -> tuple[str, datetime]:
    config = location.config
    # SAS times are whole seconds, and the clocks of Azure's machines may be slow.
    begins = datetime.now(UTC).replace(microsecond=0)
    expires_at = begins + timedelta(seconds=math.ceil(expires.total_seconds()))
    key: dict[str, Any]
    if (secret := account_key(config)) is not None:
        key = {"account_key": secret}
    else:
        key = {
            "user_delegation_key": client_for(config).get_user_delegation_key(
                begins - timedelta(minutes=5), expires_at, timeout=int(REQUEST_SECONDS)
            )
        }
    token = generate_blob_sas(
        config.account,
        config.container,
        name,
        permission=permission,
        expiry=expires_at,
        protocol="https" if config.account_url.startswith("https") else None,
        **key,
    )
    return f"{location.uri(name)}?{token}", expires_at
