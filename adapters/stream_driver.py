"""What a backend of event streams implements: look where streams end, append there, read on.

`adapters/event_stream.py` numbers the events, decides which are added and makes the answers, once
for all backends. What the service reports leaves a driver as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from signalbox.adapters.batch import UNBOUNDED, RequestSize
from signalbox.adapters.failure import Service
from signalbox.adapters.port import TimeLimit
from signalbox.commands.event_stream import Event, StoredEvent
from signalbox.commands.scope import Scope


class Changed(Exception):
    """A stream no longer ends where the look found it, and nothing was appended."""


@dataclass
class StreamEnd:
    """What one look found of a stream."""

    version: int
    """Of its last event; 0 without one."""
    events: dict[str, tuple[int, str]]
    """Those of the asked events that it holds, by id: version and writer."""


class NewEvent(NamedTuple):
    """An event with its place in its stream."""

    stream: str
    version: int
    id: str
    event: Event
    writer: str
    """A text that is kept beside it, and given back by a look."""
    recorded_at: datetime


class StreamTurn(Protocol):
    """One look, and what is appended over what it found."""

    def look(self, wanted: Mapping[str, Collection[str]]) -> dict[str, StreamEnd]:
        """Where these streams end, and which of these ids each holds."""

    def record(self, event: NewEvent) -> Any:
        """What `append` takes for it; no call. Raises TooLarge."""

    def append(self, records: Sequence[Any]) -> None:
        """Store them durably, all or none, if the streams still end where the look found them;
        no reader sees one before those that stand before it. Raises Changed; what is written may
        also take effect at the end of the turn."""


@dataclass(frozen=True)
class StreamTraits:
    """What the service takes, and how it reads."""

    request: RequestSize = UNBOUNDED
    """Of one turn."""
    event_records: int = 1
    stream_records: int = 0
    """How many of its records an event takes, and each stream."""
    room: Callable[[int], int] = field(default=lambda size: size)
    """Bytes of a request for an event with so much data."""
    whole_reads: bool = True
    """A reader sees all events of a turn at once. Else a page ends before a gap."""


class StreamDriver(Protocol):
    """One scope on one route. Methods are thread-safe; a turn is one thread's."""

    @property
    def scope(self) -> Scope: ...

    @property
    def service(self) -> Service: ...

    @property
    def traits(self) -> StreamTraits: ...

    def turn(self, limit: TimeLimit) -> AbstractContextManager[StreamTurn]:
        """No effect within it begins after the limit."""

    def read(
        self, stream: str, after: int, count: int, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[tuple[StoredEvent, int]]]:
        """Up to `count` events with a version above `after`, in order, each with the bytes of its
        data, read as they are asked for."""

    def close(self) -> None:
        """Give back what the driver holds."""
