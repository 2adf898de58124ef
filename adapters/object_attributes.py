"""What stands beside an object: who wrote it, in which order, and what a tombstone says.

A driver keeps these texts beside the object in its service's own way, under names of its own, and
gives them back as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.adapters.object_driver import StoredObject
from signalbox.adapters.port import Call
from signalbox.commands.object_store import DEFAULT_CONTENT_TYPE, ObjectInfo

MARK, SEQ, SHA256 = "mark", "seq", "sha256"
_REMOVED_MARK, _REMOVED_ETAG = "removed-mark", "removed-etag"


@dataclass(frozen=True)
class Tombstone:
    """What a delete left: who deleted, and what."""

    mark: str
    seq: int
    removed_mark: str | None = None
    removed_etag: str | None = None
    """Of the object that was there, if one was, and if Signalbox wrote it."""

    @property
    def attributes(self) -> dict[str, str]:
        """What stands beside the empty object that a fenced delete leaves."""
        all_ = {
            MARK: self.mark,
            SEQ: str(self.seq),
            _REMOVED_MARK: self.removed_mark,
            _REMOVED_ETAG: self.removed_etag,
        }
        return {name: value for name, value in all_.items() if value is not None}


def attributes(call: Call, sha256: str) -> dict[str, str]:
    """What stands beside an object that `call` writes."""
    return {MARK: call.mark, SEQ: str(call.seq), SHA256: sha256}


def mark_of(there: StoredObject) -> str | None:
    """Of the acceptance that wrote it; None if it came another way (a presigned upload).

    What an earlier release wrote has an op_id, which may have been used again, and its `seq`,
    which is what its mark would be.
    """
    return there.attributes.get(MARK) or there.attributes.get(SEQ)


def seq_of(there: StoredObject) -> int:
    """Of the command that wrote it; -1, older than any, if it came another way."""
    seq = there.attributes.get(SEQ, "")
    return int(seq) if seq.isascii() and seq.isdigit() else -1


def sha256_of(there: StoredObject) -> str | None:
    return there.attributes.get(SHA256)


def tombstone_of(there: StoredObject) -> Tombstone | None:
    """What it says as a tombstone; None if it is something else."""
    mark = there.attributes.get(MARK)
    if mark is None:
        return None
    removed = there.attributes.get(_REMOVED_MARK), there.attributes.get(_REMOVED_ETAG)
    return Tombstone(mark, seq_of(there), *removed)


def info_of(there: StoredObject, key: str) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=there.size,
        etag=there.etag,
        modified=there.modified,
        content_type=there.content_type or DEFAULT_CONTENT_TYPE,
        metadata=dict(there.metadata),
        sha256=sha256_of(there),
        replica=there.replica,
    )
