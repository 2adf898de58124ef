"""Asset records: what is kept of an object that was registered, beside its index."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from adapters.filesystem import object_index
from adapters.filesystem.database import Database
from adapters.port import Call
from commands.error import NotFound, PreconditionFailed
from commands.object_store import AssetRecord, RegisterObject
from commands.scope import Scope


def register(
    index: Database, scope: Scope, command: RegisterObject, call: Call, uri: str
) -> AssetRecord:
    """Keep the record. Raises NotFound, and PreconditionFailed when size or digest differ.

    The id is that of key and ETag: a repeat renews the record and names the same asset.
    """
    with index.writing(call.remaining()) as connection:
        kept = object_index.find_asset(connection, command.key)
        if kept and object_index.is_of(kept, call):
            return kept.record
        superseded = kept is not None and kept.seq > call.seq
        if kept and superseded and call.takeover:
            # It may have been done before: what it demanded is not asked of what is newer.
            return kept.record.model_copy(update={"superseded": True})
        there = object_index.find(connection, command.key)
        if there is None:
            raise NotFound("there is no such object", next_step="upload it first")
        if command.size_bytes is not None and there.size != command.size_bytes:
            raise _differs(f"{there.size} bytes, not {command.size_bytes}")
        if command.sha256 is not None and there.sha256 != command.sha256:
            raise _differs(f"SHA-256 {there.sha256}, not {command.sha256}")
        name = f"{scope.field}\0{command.key}\0{there.etag}".encode()
        record = AssetRecord(
            asset_id=f"asset_{hashlib.blake2b(name, digest_size=16).hexdigest()}",
            key=command.key,
            uri=uri,
            size=there.size,
            etag=there.etag,
            content_type=there.content_type,
            sha256=there.sha256,
            metadata=command.metadata,
            registered_at=datetime.now(UTC),
            superseded=superseded,
        )
        call.remaining()
        if not superseded:
            object_index.store_asset(connection, record, call)
    return record


def _differs(what: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"the object has {what}", next_step="put it again, or register what is there"
    )
