"""Asset records: what is kept of an object that someone uploaded by himself."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from azure.storage.blob import BlobClient

from adapters.answer import unreadable
from adapters.azure_blob.blob import Draft, if_match, look
from adapters.azure_blob.location import Location
from adapters.azure_blob.metadata import Present, pack
from adapters.azure_blob.slot import AzureSlot
from adapters.deadline import REQUEST_SECONDS
from adapters.object_fence import Expectation, write
from adapters.port import Call
from commands.error import NotFound, PreconditionFailed
from commands.object_store import AssetRecord, Condition, RegisterObject
from commands.payload import InlinePayload


def register(
    blob: BlobClient,
    record_blob: BlobClient,
    location: Location,
    command: RegisterObject,
    call: Call,
    *,
    fenced: bool,
) -> AssetRecord:
    """Keep the record as JSON under `assets/`, outside what `list` shows.

    Raises NotFound, and PreconditionFailed when size or digest differ. If a digest is demanded,
    the content is read for it: who uploads to a presigned address can write what he likes beside.
    """
    there = look(blob)
    if there is None:
        if call.takeover and (kept := _done_before(record_blob, call)):
            return kept
        raise NotFound("there is no such object", next_step="upload it first")
    if command.size_bytes is not None and there.size != command.size_bytes:
        raise _differs(f"{there.size} bytes, not {command.size_bytes}")
    sha256 = there.sha256
    if command.sha256 is not None:
        sha256 = _digest(blob, there)
        if sha256 != command.sha256:
            raise _differs(f"SHA-256 {sha256}, not {command.sha256}")
    text = f"{location.scope.field}\0{command.key}\0{there.etag}".encode()
    record = AssetRecord(
        asset_id=f"asset_{hashlib.blake2b(text, digest_size=16).hexdigest()}",
        key=command.key,
        uri=location.uri(command.key),
        size=there.size,
        etag=there.etag,
        content_type=there.content_type,
        sha256=sha256,
        metadata=command.metadata,
        registered_at=datetime.now(UTC),
    )
    content = InlinePayload(data=record.model_dump_json().encode())
    draft = Draft(content, "application/json", pack({}, call, content.sha256))
    slot = AzureSlot(record_blob, call, draft)
    written = write(slot, call, Condition(), Expectation(), fenced=fenced)
    if written.repeated:
        return _kept(record_blob)
    return record.model_copy(update={"superseded": written.superseded})


def _done_before(record_blob: BlobClient, call: Call) -> AssetRecord | None:
    """The record of an earlier attempt, whose object was deleted since; or that of a newer one."""
    there = look(record_blob)
    if there is None or (there.mark != call.mark and there.seq <= call.seq):
        return None
    return _kept(record_blob).model_copy(update={"superseded": there.mark != call.mark})


def _kept(record_blob: BlobClient) -> AssetRecord:
    content = record_blob.download_blob(timeout=int(REQUEST_SECONDS)).readall()
    return AssetRecord.model_validate_json(content)


def _digest(blob: BlobClient, there: Present) -> str:
    digest, size = hashlib.sha256(), 0
    content = blob.download_blob(
        timeout=int(REQUEST_SECONDS), decompress=False, **if_match(there.etag)
    )
    for chunk in content.chunks():
        digest.update(chunk)
        size += len(chunk)
        if size > there.size:
            raise unreadable("Azure", "it is longer than the object")
    return digest.hexdigest()


def _differs(what: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"the object has {what}", next_step="upload it again, or register what is there"
    )
