"""What the registry's keys hold, as what it means."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from routing.event import StreamEvent


@dataclass(frozen=True)
class Head:
    """The newest event of the log; revision 0 before the first."""

    epoch: str
    revision: int
    hash: str


def read_head(row: Sequence[bytes | str | None]) -> Head:
    epoch, revision, digest = row
    if epoch is None or revision is None or digest is None:
        return Head(uuid.uuid4().hex, 0, "")
    return Head(text_of(epoch), int(revision), text_of(digest))


def text_of(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def read_events(rows: Sequence[Any]) -> list[StreamEvent]:
    """The entries of an XRANGE over the log."""
    found = []
    for _, fields in rows:
        document = json.loads(fields[b"event"])
        document["committed_at"] = datetime.fromtimestamp(int(fields[b"at"]) / 1e6, UTC)
        found.append(StreamEvent.model_validate(document))
    return found
