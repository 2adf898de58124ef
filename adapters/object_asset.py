"""Asset records of objects that were uploaded without Signalbox, by a presigned URL.

A record is stored as JSON in an area of its own, which `list` does not show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from signalbox.adapters.object_attributes import attributes, mark_of, seq_of, sha256_of
from signalbox.adapters.object_driver import Area, Draft, ObjectDriver, StoredObject
from signalbox.adapters.object_fence import Expectation, Slot, write
from signalbox.adapters.port import BodyReader, Call
from signalbox.adapters.response_check import unusable
from signalbox.commands.error import NotFound, PreconditionFailed
from signalbox.commands.object_store import AssetRecord, Condition, RegisterObject
from signalbox.commands.payload import CHUNK_BYTES, InlinePayload


def register(
    driver: ObjectDriver, command: RegisterObject, call: Call, *, fenced: bool
) -> AssetRecord:
    """Check the object and store its record.

    Raises NotFound, and PreconditionFailed if size or digest differ. If a digest is required that
    is not stored with the object, the content is read to compute it; and always if the uploader
    could have set the stored one.
    """
    slot = Slot(driver, call, driver.name(command.key, Area.ASSETS))
    try:
        record = _record_of(driver, command)
    except (NotFound, PreconditionFailed):
        # It may have been registered before; the object may have been replaced since.
        if call.takeover and (kept := _done_before(slot)):
            return kept
        raise
    content = InlinePayload(data=record.model_dump_json().encode())
    beside = attributes(call, content.sha256)
    draft = Draft(content, call.payloads, "application/json", attributes=beside)
    written = write(slot, draft, Condition(), Expectation(), fenced=fenced)
    if written.repeated:
        return _kept(slot)
    return record.model_copy(update={"superseded": written.superseded})


def _record_of(driver: ObjectDriver, command: RegisterObject) -> AssetRecord:
    """Return the record of the existing object, if it matches the command."""
    name = driver.name(command.key)
    there = driver.look(name, sure=True)
    if there is None:
        raise NotFound("there is no such object", next_step="upload it first")
    if command.size_bytes is not None and there.size != command.size_bytes:
        raise _differs(f"{there.size} bytes, not {command.size_bytes}")
    sha256 = sha256_of(there)
    if command.sha256 is not None:
        if sha256 is None or not driver.traits.attributes_are_ours:
            sha256 = _digest(driver, name, there)
        if sha256 != command.sha256:
            raise _differs(f"SHA-256 {sha256}, not {command.sha256}")
    return AssetRecord(
        asset_id=_asset_id(driver.scope.field, command.key, there.etag),
        key=command.key,
        uri=driver.uri(name),
        size=there.size,
        etag=there.etag,
        content_type=there.content_type,
        sha256=sha256,
        metadata=command.metadata,
        registered_at=datetime.now(UTC),
    )


def _asset_id(scope: str, key: str, etag: str) -> str:
    """Return the id of this content under this key: repeating `register` gives the same id."""
    text = f"{scope}\0{key}\0{etag}".encode()
    return f"asset_{hashlib.blake2b(text, digest_size=16).hexdigest()}"


def _differs(what: str) -> PreconditionFailed:
    """Return the error for an object that does not match the command."""
    return PreconditionFailed(
        f"the object has {what}", next_step="upload it again, or register what is there"
    )


def _done_before(slot: Slot) -> AssetRecord | None:
    """Return the record of an earlier attempt, or of a newer command.

    The object itself may have been deleted since.
    """
    there, call = slot.look(), slot.call
    if there is None or (mark_of(there) != call.mark and seq_of(there) <= call.seq):
        return None
    return _kept(slot).model_copy(update={"superseded": mark_of(there) != call.mark})


def _kept(slot: Slot) -> AssetRecord:
    with closing(slot.driver.open(slot.name).body) as body:
        return AssetRecord.model_validate_json(b"".join(_chunks(body)))


def _digest(driver: ObjectDriver, name: str, there: StoredObject) -> str:
    digest, size = hashlib.sha256(), 0
    with closing(driver.open(name, etag=there.etag).body) as body:
        for chunk in _chunks(body):
            digest.update(chunk)
            size += len(chunk)
            if size > there.size:
                raise unusable(driver.service.name, "it is longer than the object")
    return digest.hexdigest()


def _chunks(body: BodyReader) -> Iterator[bytes]:
    return iter(lambda: body.read(CHUNK_BYTES), b"")
