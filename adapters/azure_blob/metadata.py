"""What stands beside a blob: the caller's metadata packed into one entry, and ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.port import Call
from commands.object_store import DEFAULT_CONTENT_TYPE, ObjectInfo

# Names of Azure's metadata are identifiers: the caller's own may hold hyphens.
OP_ID, SEQ, SHA256, CALLERS = (
    "signalbox_op_id",
    "signalbox_seq",
    "signalbox_sha256",
    "signalbox_metadata",
)


def pack(metadata: Mapping[str, str], call: Call, sha256: str) -> dict[str, str]:
    """The blob's metadata: `metadata` and who wrote it."""
    packed = {OP_ID: call.mark, SEQ: str(call.seq), SHA256: sha256}
    if metadata:
        text = json.dumps(dict(metadata), separators=(",", ":"))
        packed[CALLERS] = base64.b64encode(text.encode()).decode()
    return packed


@dataclass(frozen=True)
class Present:
    """What Azure knows of a blob that is there."""

    size: int
    etag: str
    modified: datetime
    content_type: str
    metadata: Mapping[str, str]

    @property
    def op_id(self) -> str | None:
        """Of the command that wrote it; None if it came another way (a presigned upload)."""
        return self.metadata.get(OP_ID)

    @property
    def seq(self) -> int:
        """Of the command that wrote it; -1, older than any, if it came another way."""
        seq = self.metadata.get(SEQ, "")
        return int(seq) if seq.isascii() and seq.isdigit() else -1

    @property
    def sha256(self) -> str | None:
        return self.metadata.get(SHA256)

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
