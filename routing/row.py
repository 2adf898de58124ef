"""What the registry's keys hold, as what it means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uuid_utils

from routing.event import StreamEvent


@dataclass(frozen=True)
class Head:
    """The newest event of the log; revision 0 before the first."""

    epoch: str
    revision: int
    hash: str


def new_epoch() -> str:
    """A name for a history of the registry; of two, the later one is the greater."""
    return str(uuid_utils.uuid7())


def read_head(row: Sequence[bytes | str | None]) -> Head:
    epoch, revision, digest = row
    if epoch is None or revision is None or digest is None:
        return Head(new_epoch(), 0, "")
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
