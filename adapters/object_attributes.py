"""Attributes stored with an object: the mark and seq of its writer, the digest, and tombstones.

A driver stores these texts with the object in its service's own way, under names of its own, and
returns them unchanged.
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
    """What a delete leaves: which command deleted, and what."""

    mark: str
    """Mark of the delete."""
    seq: int
    """Sequence number of the delete."""
    removed_mark: str | None = None
    """Mark of the deleted object; None if there was none, or Signalbox did not write it."""
    removed_etag: str | None = None
    """ETag of the deleted object; None if there was none."""

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes of the empty object that a fenced delete leaves."""
        all_ = {
            MARK: self.mark,
            SEQ: str(self.seq),
            _REMOVED_MARK: self.removed_mark,
            _REMOVED_ETAG: self.removed_etag,
        }
        return {name: value for name, value in all_.items() if value is not None}


def attributes(call: Call, sha256: str) -> dict[str, str]:
    """Return the attributes of an object that `call` writes."""
    return {MARK: call.mark, SEQ: str(call.seq), SHA256: sha256}


def mark_of(there: StoredObject) -> str | None:
    """Return the mark of the acceptance that wrote the object; None for a presigned upload.

    An object of an earlier release has an op_id, which may have been reused, and a `seq`, which
    equals its mark.
    """
    return there.attributes.get(MARK) or there.attributes.get(SEQ)


def seq_of(there: StoredObject) -> int:
    """Return the `seq` of the command that wrote the object; -1, older than any, if none did."""
    seq = there.attributes.get(SEQ, "")
    return int(seq) if seq.isascii() and seq.isdigit() else -1


def sha256_of(there: StoredObject) -> str | None:
    """Return the stored digest; None if there is none."""
    return there.attributes.get(SHA256)


def tombstone_of(there: StoredObject) -> Tombstone | None:
    """Return the tombstone; None if the object is something else."""
    mark = there.attributes.get(MARK)
    if mark is None:
        return None
    removed = there.attributes.get(_REMOVED_MARK), there.attributes.get(_REMOVED_ETAG)
    return Tombstone(mark, seq_of(there), *removed)


def info_of(there: StoredObject, key: str) -> ObjectInfo:
    """Return what is known of the object under a key."""
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
