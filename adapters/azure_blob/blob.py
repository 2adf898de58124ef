"""Operations on one blob: reading its properties, and writing it whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings

from signalbox.adapters.azure_blob.expiry import bounded
from signalbox.adapters.azure_blob.failure import code_of
from signalbox.adapters.azure_blob.failure_code import MISSING_CONTAINER
from signalbox.adapters.azure_blob.metadata import join, split
from signalbox.adapters.deadline import REQUEST_SECONDS
from signalbox.adapters.object_driver import Draft, StoredObject
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import checked_etag, checked_size, unusable
from signalbox.commands.error import PreconditionFailed, TooLarge

BLOCK_BYTES = 8 * 1024**2
"""Size of a block in bytes; smaller content is sent in one request."""
MAX_BLOCKS = 50_000
"""Azure's maximum number of blocks in a blob."""
MAX_BLOCK_BYTES = 4000 * 1024**2
"""Azure's maximum size of a block."""
_ETAG = re.compile(r"[A-Za-z0-9+/=_.-]{1,256}")

Match = dict[str, Any]
"""`etag` and `match_condition`, as the SDK takes them; empty for no condition."""


def look(blob: BlobClient) -> StoredObject | None:
    """Return what is known of the blob; None if it does not exist.

    Raises Azure's error for a missing container.
    """
    try:
        found = blob.get_blob_properties(timeout=int(REQUEST_SECONDS))
    except ResourceNotFoundError as error:
        if code_of(error) in MISSING_CONTAINER:
            raise
        return None
    return present(found, found.size)


def present(found: Any, size: Any) -> StoredObject:
    """Return what the SDK's properties say.

    Raises Unavailable if they cannot be those of a blob.
    """
    if not isinstance(found.last_modified, datetime):
        raise unusable("Azure", "it has no date")
    return StoredObject(
        checked_size("Azure", size),
        checked_etag("Azure", found.etag),
        found.last_modified,
        found.content_settings.content_type or "",
        *split(found.metadata or {}),
    )


def write(blob: BlobClient, draft: Draft, limit: TimeLimit, match: Match) -> str:
    """Write the blob in bounded memory; return its ETag.

    `match` is checked when it becomes visible. Raises IntegrityMismatch before the last byte is
    sent, Expired, TooLarge, and Azure's errors.
    """
    size = draft.size
    if size > MAX_BLOCKS * MAX_BLOCK_BYTES:
        raise TooLarge(f"{size} bytes are over what a blob holds", next_step="store it in pieces")
    if size > BLOCK_BYTES:
        with draft.chunks() as chunks:
            blocks = _blocks(chunks, block_bytes(size))
            return _in_blocks(blob, draft, blocks, limit, match)
    # Read completely before it is sent: wrong content fails here, before anything is sent.
    body = draft.whole()
    settings = ContentSettings(
        content_type=draft.content_type,
        content_md5=bytearray(hashlib.md5(body, usedforsecurity=False).digest()),
    )
    with bounded(limit, blob) as bounds:
        answer = blob.upload_blob(
            body,
            length=len(body),
            overwrite=True,
            metadata=join(draft.metadata, draft.attributes),
            content_settings=settings,
            **bounds,
            **match,
        )
    return checked_etag("Azure", answer.get("etag"))


def if_absent() -> Match:
    """Return the condition that there is no blob."""
    return {"match_condition": MatchConditions.IfMissing}


def if_match(etag: str) -> Match:
    """Return the condition on an ETag. Raises PreconditionFailed if it cannot be one of Azure's."""
    if not _ETAG.fullmatch(etag):
        raise PreconditionFailed(
            f"if_match {etag[:80]!r} is no ETag of Azure",
            next_step="give the `etag` of a put, head or list, without quotes",
        )
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def block_bytes(size: int) -> int:
    """Return 8 MiB, or what `size` bytes need to fit into 50,000 blocks (from 390 GiB on)."""
    return max(BLOCK_BYTES, -(-size // MAX_BLOCKS))


def _blocks(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) > size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _in_blocks(
    blob: BlobClient, draft: Draft, blocks: Iterator[bytes], limit: TimeLimit, match: Match
) -> str:
    # Azure drops blocks that are never committed after a week, or at the next commit.
    upload, names = uuid.uuid4().hex, []
    for number, body in enumerate(blocks):
        name = base64.b64encode(f"{upload}{number:06}".encode()).decode()
        with bounded(limit, blob) as bounds:
            blob.stage_block(name, body, length=len(body), validate_content=True, **bounds)
        names.append(BlobBlock(block_id=name))
    with bounded(limit, blob) as bounds:
        answer = blob.commit_block_list(
            names,
            metadata=join(draft.metadata, draft.attributes),
            content_settings=ContentSettings(content_type=draft.content_type),
            **bounds,
            **match,
        )
    return checked_etag("Azure", answer.get("etag"))
