"""What stands beside an object: the caller's metadata as it is, and ours hidden from him."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.object_fence import Tombstone
from adapters.port import Call
from commands.object_store import DEFAULT_CONTENT_TYPE, ObjectInfo

MARK = "signalbox-mark"
SEQ = "signalbox-seq"
SHA256 = "signalbox-sha256"
_REMOVED_MARK, _REMOVED_ETAG = "signalbox-removed-mark", "signalbox-removed-etag"
_OURS = "signalbox-"
_ENCODED = "signalbox64:"


def pack(metadata: Mapping[str, str], call: Call, sha256: str) -> dict[str, str]:
    """The object's metadata for S3: `metadata` and who wrote it."""
    ours = {MARK: call.mark, SEQ: str(call.seq), SHA256: sha256}
    return {name: _encode(value) for name, value in metadata.items()} | ours


def pack_tombstone(tombstone: Tombstone) -> dict[str, str]:
    """The metadata of the empty object that a fenced delete leaves."""
    packed = {
        MARK: tombstone.mark,
        SEQ: str(tombstone.seq),
        _REMOVED_MARK: tombstone.removed_mark,
        _REMOVED_ETAG: tombstone.removed_etag,
    }
    return {name: value for name, value in packed.items() if value is not None}


def unpack(metadata: Mapping[str, str]) -> dict[str, str]:
    """The caller's part of an object's metadata."""
    return {
        lower: _decode(value)
        for name, value in metadata.items()
        if not (lower := name.lower()).startswith(_OURS)
    }


def _encode(value: str) -> str:
    # A header loses spaces at its ends.
    if value == value.strip(" ") and not value.startswith(_ENCODED):
        return value
    return _ENCODED + base64.b64encode(value.encode("ascii")).decode("ascii")


def _decode(value: str) -> str:
    if not value.startswith(_ENCODED):
        return value
    try:
        return base64.b64decode(value.removeprefix(_ENCODED), validate=True).decode("ascii")
    except ValueError:
        return value


@dataclass(frozen=True)
class Present:
    """What S3 knows of an object that is there."""

    size: int
    etag: str
    modified: datetime
    content_type: str
    metadata: Mapping[str, str]

    @property
    def mark(self) -> str | None:
        """Of the acceptance that wrote it; None if it came another way (a presigned upload).

        What an earlier release wrote has an op_id, which may have been used again, and its `seq`,
        which is what its mark would be.
        """
        return self.metadata.get(MARK) or self.metadata.get(SEQ)

    @property
    def seq(self) -> int:
        """Of the command that wrote it; -1, older than any, if it came another way."""
        seq = self.metadata.get(SEQ, "")
        return int(seq) if seq.isascii() and seq.isdigit() else -1

    @property
    def sha256(self) -> str | None:
        return self.metadata.get(SHA256)

    @property
    def tombstone(self) -> Tombstone | None:
        """What it says as a tombstone; None if it is something else."""
        mark = self.metadata.get(MARK)
        if mark is None:
            return None
        removed = self.metadata.get(_REMOVED_MARK), self.metadata.get(_REMOVED_ETAG)
        return Tombstone(mark, self.seq, *removed)

    def info(self, key: str, replica: str | None = None) -> ObjectInfo:
        return ObjectInfo(
            key=key,
            size=self.size,
            etag=self.etag,
            modified=self.modified,
            content_type=self.content_type or DEFAULT_CONTENT_TYPE,
            metadata=unpack(self.metadata),
            sha256=self.sha256,
            replica=replica,
        )
