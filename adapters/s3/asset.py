"""Asset records: what is kept of an object that someone uploaded by himself."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from adapters.answer import unreadable
from adapters.object_fence import Expectation, write
from adapters.port import Call
from adapters.s3.body import S3Body
from adapters.s3.engine import Engine, Target
from adapters.s3.etag import quoted
from adapters.s3.location import Location
from adapters.s3.metadata import Present, pack
from adapters.s3.slot import S3Slot
from commands.error import NotFound, PreconditionFailed
from commands.object_store import AssetRecord, Condition, RegisterObject
from commands.payload import CHUNK_BYTES, InlinePayload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def register(
    engine: Engine, location: Location, command: RegisterObject, call: Call, *, fenced: bool
) -> AssetRecord:
    """Keep the record as JSON under `assets/`, outside what `list` shows.

    Raises NotFound, and PreconditionFailed when size or digest differ. An object that did not
    come by `put` has no digest beside it: if one is demanded, the content is read for it.
    """
    record_key = location.full_key(command.key, "assets")
    there = engine.look(location.full_key(command.key), sure=True)
    if there is None:
        if call.takeover and (kept := _done_before(engine, location, record_key, call)):
            return kept
        raise NotFound("there is no such object", next_step="upload it first")
    if command.size_bytes is not None and there.size != command.size_bytes:
        raise _differs(f"{there.size} bytes, not {command.size_bytes}")
    sha256 = there.sha256
    if command.sha256 is not None:
        sha256 = sha256 or _digest(engine.client, location, command.key, there)
        if sha256 != command.sha256:
            raise _differs(f"SHA-256 {sha256}, not {command.sha256}")
    record = AssetRecord(
        asset_id=_asset_id(location, command.key, there.etag),
        key=command.key,
        uri=location.uri(command.key),
        size=there.size,
        etag=there.etag,
        content_type=there.content_type,
        sha256=sha256,
        metadata=command.metadata,
        registered_at=datetime.now(UTC),
    )
    content = InlinePayload(data=record.model_dump_json().encode("utf-8"))
    beside = pack({}, call, content.sha256)
    target = Target(location.config, record_key, "application/json", beside)
    slot = S3Slot(engine, target, call, content)
    written = write(slot, call, Condition(), Expectation(), fenced=fenced)
    if written.repeated:
        return _kept(engine, location, record_key)
    return record.model_copy(update={"superseded": written.superseded})


def _done_before(
    engine: Engine, location: Location, record_key: str, call: Call
) -> AssetRecord | None:
    """The record of an earlier attempt, whose object was deleted since; or that of a newer one."""
    there = engine.look(record_key, sure=False)
    if there is None or (there.mark != call.mark and there.seq <= call.seq):
        return None
    kept = _kept(engine, location, record_key)
    return kept.model_copy(update={"superseded": there.mark != call.mark})


def _kept(engine: Engine, location: Location, record_key: str) -> AssetRecord:
    answer = engine.client.get_object(Bucket=location.bucket, Key=record_key)
    with closing(answer["Body"]) as body:
        return AssetRecord.model_validate_json(body.read())


def _asset_id(location: Location, key: str, etag: str) -> str:
    """One id for one content under one key: a repeated `register` names the same asset."""
    text = f"{location.scope.field}\0{key}\0{etag}".encode()
    return f"asset_{hashlib.blake2b(text, digest_size=16).hexdigest()}"


def _digest(client: S3Client, location: Location, key: str, there: Present) -> str:
    answer = client.get_object(
        Bucket=location.bucket, Key=location.full_key(key), IfMatch=quoted(there.etag)
    )
    digest, size = hashlib.sha256(), 0
    with closing(S3Body(answer["Body"], location.scope)) as body:
        while chunk := body.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if size > there.size:
                raise unreadable("S3", "it is longer than the object")
    return digest.hexdigest()


def _differs(what: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"the object has {what}", next_step="upload it again, or register what is there"
    )
