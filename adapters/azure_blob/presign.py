"""Addresses with a shared access signature (SAS), with which others reach one object for a while.

Signed with the account's key, or with a key that Azure lends to the worker's own identity.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from adapters.azure_blob.client import client_for
from adapters.azure_blob.credential import account_key
from adapters.azure_blob.location import Location
from adapters.deadline import REQUEST_SECONDS
from commands.error import Unsupported
from commands.object_store import PresignedGet, PresignedPut, PresignGet, PresignPut


def presign_get(location: Location, command: PresignGet) -> PresignedGet:
    """An address that anyone who has it may read from until it ends."""
    url, expires_at = _signed(
        location, command.key, command.expires, BlobSasPermissions(read=True), {}
    )
    return PresignedGet(url=url, expires_at=expires_at)


def presign_put(location: Location, command: PresignPut) -> PresignedPut:
    """An address to PUT the whole content to, with the headers that Azure asks for.

    The content type is the uploader's to send: a SAS cannot hold him to one, nor to a size.
    """
    permission = BlobSasPermissions(create=True, write=True)
    url, expires_at = _signed(location, command.key, command.expires, permission, {})
    return PresignedPut(
        url=url,
        headers={"x-ms-blob-type": "BlockBlob", "Content-Type": command.content_type},
        expires_at=expires_at,
    )


def _signed(
    location: Location,
    key: str,
    expires: timedelta,
    permission: BlobSasPermissions,
    more: dict[str, Any],
) -> tuple[str, datetime]:
    config = location.config
    # SAS times are whole seconds; clocks of Azure's machines may be behind.
    begins = datetime.now(UTC).replace(microsecond=0)
    expires_at = begins + timedelta(seconds=math.ceil(expires.total_seconds()))
    if config.sas_file is not None:
        raise Unsupported(
            "a SAS cannot sign another SAS",
            next_step="name account_key_file in the route, or use the worker's own identity",
        )
    if (secret := account_key(config)) is not None:
        more = more | {"account_key": secret}
    else:
        more = more | {
            "user_delegation_key": client_for(config).get_user_delegation_key(
                begins - timedelta(minutes=5), expires_at, timeout=int(REQUEST_SECONDS)
            )
        }
    token = generate_blob_sas(
        config.account,
        config.container,
        location.name(key),
        permission=permission,
        expiry=expires_at,
        protocol="https" if config.account_url.startswith("https") else None,
        **more,
    )
    return f"{location.uri(key)}?{token}", expires_at
