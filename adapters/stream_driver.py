"""The driver interface for event streams: find the end of streams, append, and read.

`adapters/event_stream.py` numbers the events, decides which are appended and makes the answers,
once for all backends. A driver raises its service's errors untranslated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from signalbox.adapters.batch import UNBOUNDED, RequestSize
from signalbox.adapters.failure import Service
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import TimeLimit
from signalbox.commands.event_stream import Event, StoredEvent
from signalbox.commands.scope import Scope


class Changed(Exception):
    """A stream has grown since the look, and nothing was appended."""


@dataclass
class StreamEnd:
    """What one look found of a stream."""

    version: int
    """Version of its last event; 0 without one."""
    events: dict[str, tuple[int, str]]
    """Version and writer of the requested events that exist, by id."""


class NewEvent(NamedTuple):
    """An event to append, with its version."""

    stream: str
    """The stream."""
    version: int
    """The event's version."""
    id: str
    """The event's id."""
    event: Event
    """The event."""
    writer: str
    """The writer's mark, which is stored with the event and returned by a look."""
    recorded_at: datetime
    """When it was recorded."""


class StreamSession(Protocol):
    """One look, and the appends based on it."""

    def look(self, wanted: Mapping[str, Collection[str]]) -> dict[str, StreamEnd]:
        """Return the end of these streams, and which of these event ids each has."""

    def record(self, event: NewEvent) -> Any:
        """Return the record that `append` takes for an event; makes no call. Raises TooLarge."""

    def append(self, records: Sequence[Any]) -> None:
        """Store the records durably, all or none, if the streams have not grown.

        No reader sees a record before those that precede it. They may take effect only at the end
        of the session. Raises Changed.
        """


@dataclass(frozen=True)
class StreamTraits:
    """Limits of the service, and how it reads."""

    request: RequestSize = UNBOUNDED
    """Maximum size of one session."""
    event_records: int = 1
    """Number of records that each event takes in a request."""
    stream_records: int = 0
    """Number of records that each stream takes in a request."""
    room: Callable[[int], int] = field(default=lambda size: size)
    """Returns the bytes that an event with so much data takes in a request."""
    whole_reads: bool = True
    """True if readers see all events of a session at once; otherwise a page ends before a gap."""


class StreamDriver(Protocol):
    """The streams of one scope on one route. Methods are thread-safe; a session is one thread's."""

    @property
    def scope(self) -> Scope:
        """The scope."""

    @property
    def service(self) -> Service:
        """The service, for errors."""

    @property
    def traits(self) -> StreamTraits:
        """Limits of the service."""

    def session(self, limit: TimeLimit) -> AbstractContextManager[StreamSession]:
        """Run a session; no effect in it begins after the limit."""

    def read(
        self, stream: str, after: int, count: int, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[tuple[StoredEvent, int]]]:
        """Iterate over up to `count` events with version > `after`, ascending.

        Each comes with the size of its data in bytes, and is read when it is needed.
        """

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        """Return a page of the names of streams; see `NameDriver.names`."""

    def close(self) -> None:
        """Release the driver's resources."""
