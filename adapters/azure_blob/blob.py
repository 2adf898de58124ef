"""One blob: looking at it, and writing it whole or not at all, in bounded memory."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings

from adapters.answer import checked_etag, checked_size, unreadable
from adapters.azure_blob.failure import code_of
from adapters.azure_blob.failure_code import MISSING_CONTAINER
from adapters.azure_blob.lease import leased
from adapters.azure_blob.metadata import Present
from adapters.deadline import REQUEST_SECONDS
from adapters.port import Call
from commands.error import PreconditionFailed, TooLarge
from commands.payload import InlinePayload, StagedPayload, open_payload, verified_chunks

BLOCK_BYTES = 8 * 1024**2
MAX_BLOCKS = 50_000
MAX_BLOCK_BYTES = 4000 * 1024**2
_ETAG = re.compile(r"[A-Za-z0-9+/=_.-]{1,256}")

Content = InlinePayload | StagedPayload
Match = dict[str, Any]
"""`etag` and `match_condition`, as the SDK takes them; empty for no condition."""


@dataclass(frozen=True)
class Draft:
    """What a blob is to be."""

    content: Content
    content_type: str
    metadata: dict[str, str]


def look(blob: BlobClient) -> Present | None:
    """What is there, None if nothing is. Raises Azure's error for a missing container."""
    try:
        found = blob.get_blob_properties(timeout=int(REQUEST_SECONDS))
    except ResourceNotFoundError as error:
        if code_of(error) in MISSING_CONTAINER:
            raise
        return None
    return present(found, found.size)


def present(found: Any, size: Any) -> Present:
    """What the SDK's properties say. Raises Unavailable for what cannot be of a blob."""
    if not isinstance(found.last_modified, datetime):
        raise unreadable("Azure", "it has no date")
    return Present(
        size=checked_size("Azure", size),
        etag=checked_etag("Azure", found.etag),
        modified=found.last_modified,
        content_type=found.content_settings.content_type or "",
        metadata=found.metadata or {},
    )


def write(blob: BlobClient, draft: Draft, call: Call, match: Match) -> str:
    """Store the content, and return its ETag; `match` is judged when it becomes visible.

    Raises IntegrityMismatch before the last byte is sent, LeaseExpired, TooLarge, and Azure's
    errors.
    """
    size = draft.content.size
    if size > MAX_BLOCKS * MAX_BLOCK_BYTES:
        raise TooLarge(f"{size} bytes are over what a blob holds", next_step="store it in pieces")
    with closing(open_payload(draft.content, call.payloads)) as source:
        blocks = _blocks(verified_chunks(draft.content, source), block_bytes(size))
        if size > BLOCK_BYTES:
            return _in_blocks(blob, draft, blocks, call, match)
        # Joined before it is sent: a wrong content fails here, and nothing has gone out.
        body = b"".join(blocks)
    settings = ContentSettings(
        content_type=draft.content_type,
        content_md5=bytearray(hashlib.md5(body, usedforsecurity=False).digest()),
    )
    with leased(call, blob) as bounds:
        answer = blob.upload_blob(
            body,
            length=len(body),
            overwrite=True,
            metadata=draft.metadata,
            content_settings=settings,
            **bounds,
            **match,
        )
    return checked_etag("Azure", answer.get("etag"))


def if_absent() -> Match:
    return {"match_condition": MatchConditions.IfMissing}


def if_match(etag: str) -> Match:
    """The condition; PreconditionFailed for what cannot be an ETag of Azure's."""
    if not _ETAG.fullmatch(etag):
        raise PreconditionFailed(
            f"if_match {etag[:80]!r} is no ETag of Azure",
            next_step="give the `etag` of a put, head or list, without quotes",
        )
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def block_bytes(size: int) -> int:
    """8 MiB, or what `size` bytes need to fit into 50,000 blocks (from 390 GiB on)."""
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
    blob: BlobClient, draft: Draft, blocks: Iterator[bytes], call: Call, match: Match
) -> str:
    # Blocks that are never committed are dropped by Azure after a week, or by the next commit.
    upload, names = uuid.uuid4().hex, []
    for number, body in enumerate(blocks):
        name = base64.b64encode(f"{upload}{number:06}".encode()).decode()
        with leased(call, blob) as bounds:
            blob.stage_block(name, body, length=len(body), validate_content=True, **bounds)
        names.append(BlobBlock(block_id=name))
    with leased(call, blob) as bounds:
        answer = blob.commit_block_list(
            names,
            metadata=draft.metadata,
            content_settings=ContentSettings(content_type=draft.content_type),
            **bounds,
            **match,
        )
    return checked_etag("Azure", answer.get("etag"))
