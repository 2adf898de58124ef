"""What stands beside a blob: the caller's metadata packed into one entry, and ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.object_fence import Tombstone
from adapters.port import Call
from commands.object_store import DEFAULT_CONTENT_TYPE, ObjectInfo

# Names of Azure's metadata are identifiers: the caller's own may hold hyphens.
MARK, SEQ, SHA256, CALLERS = (
    "signalbox_mark",
    "signalbox_seq",
    "signalbox_sha256",
    "signalbox_metadata",
)
_REMOVED_MARK, _REMOVED_ETAG = "signalbox_removed_mark", "signalbox_removed_etag"


def pack(metadata: Mapping[str, str], call: Call, sha256: str) -> dict[str, str]:
    """The blob's metadata: `metadata` and who wrote it."""
    packed = {MARK: call.mark, SEQ: str(call.seq), SHA256: sha256}
    if metadata:
        text = json.dumps(dict(metadata), separators=(",", ":"))
        packed[CALLERS] = base64.b64encode(text.encode()).decode()
    return packed


def pack_tombstone(tombstone: Tombstone) -> dict[str, str]:
    """The metadata of the empty blob that a fenced delete leaves."""
    packed = {
        MARK: tombstone.mark,
        SEQ: str(tombstone.seq),
        _REMOVED_MARK: tombstone.removed_mark,
        _REMOVED_ETAG: tombstone.removed_etag,
    }
    return {name: value for name, value in packed.items() if value is not None}


@dataclass(frozen=True)
class Present:
    """What Azure knows of a blob that is there."""

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

    def info(self, key: str) -> ObjectInfo:
        return ObjectInfo(
            key=key,
            size=self.size,
            etag=self.etag,
            modified=self.modified,
            content_type=self.content_type or DEFAULT_CONTENT_TYPE,
            metadata=self._callers(),
            sha256=self.sha256,
        )

    def _callers(self) -> dict[str, str]:
        try:
            return dict(json.loads(base64.b64decode(self.metadata.get(CALLERS, "e30="))))
        except ValueError:
            return {}
