"""Reads the values of the registry's keys into typed records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import uuid_utils
from pydantic import BaseModel, ValidationError

from signalbox.commands.error import RegistryUnreadable
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.route import fence_of, revision_of

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Head:
    """An event's place in the log, usually the newest; revision 0 before the first."""

    epoch: str
    """Epoch of the registry."""
    revision: int
    """Revision of the event."""
    hash: str
    """Hash of the event."""


@dataclass(frozen=True)
class Position:
    """How far the registry is, in a form that can be compared."""

    epoch: str
    """Epoch of the registry; a later epoch is the greater string."""
    fence: str
    """Revision and hash of the newest event, as `fence_of` writes them."""

    @classmethod
    def of(cls, head: Head) -> Position:
        """Return the position of a registry whose newest event is `head`."""
        return cls(head.epoch, fence_of(head.revision, head.hash))

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse `epoch/fence`, which change.lua writes beside the fences."""
        epoch, _, fence = text.partition("/")
        return cls(epoch, fence)

    def lost(self, seen: Position) -> bool:
        """True if this position is older than `seen` or diverges from it, so changes were lost."""
        if self.epoch != seen.epoch:
            return self.epoch < seen.epoch
        now, then = revision_of(self.fence), revision_of(seen.fence)
        return now < then or (now == then and self.fence != seen.fence)

    def __str__(self) -> str:
        return f"revision {revision_of(self.fence)} of epoch {self.epoch}"


def new_epoch() -> str:
    """Return a new epoch: a UUIDv7, so a later epoch is the greater string."""
    return str(uuid_utils.uuid7())


def read_head(row: Sequence[bytes | str | None]) -> Head:
    """Read epoch, revision and hash; with any of them missing, the head of an empty log."""
    epoch, revision, digest = row
    if epoch is None or revision is None or digest is None:
        return Head(new_epoch(), 0, "")
    return Head(text_of(epoch), int(revision), text_of(digest))


def text_of(value: bytes | str) -> str:
    """Decode a Redis answer as UTF-8, unless the client has done so; never fails."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def read_value(model: type[M], text: bytes | str, **where: str) -> M | RegistryUnreadable:
    """Parse a stored route or policy; return an error that names `where` if it cannot be read."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        found = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        return RegistryUnreadable(
            f"the {model.__name__.lower()} in the registry is not one of this release ({found})",
            next_step="upgrade this worker or command line to the release that wrote it, or set it "
            "again with this one",
            **where,
        )


def read_events(rows: Sequence[Any]) -> list[StreamEvent]:
    """Parse the entries of an XRANGE over the log. Raises ValueError for what is no event."""
    found = []
    for _, fields in rows:
        try:
            document = json.loads(fields[b"event"])
            document["committed_at"] = datetime.fromtimestamp(int(fields[b"at"]) / 1e6, UTC)
        except (KeyError, TypeError, OverflowError, OSError, RecursionError) as error:
            raise ValueError(f"an entry of the log is no event: {error!r}") from None
        found.append(StreamEvent.model_validate(document))
    return found
