"""The commands of an event stream and their results."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.listing import ListNames, NamesResult
from signalbox.commands.model import Command, register
from signalbox.commands.name import EventId, EventType, StreamName
from signalbox.commands.result import Result, Returns
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import TypedData, data_size


class Event(Documented):
    """An event to be appended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: EventId | None = None
    """Id, unique in its stream; None uses the command's op_id."""
    type: EventType
    """Type of the event, such as `order.placed`."""
    time: Timestamp | None = None
    """When the event happened, according to its writer."""
    data: TypedData = Field(default_factory=dict)
    """Content of the event: names with typed values."""


class AppendResult(Result):
    """The answer to an append."""

    stream: str
    """Name of the stream."""
    event_id: str
    """Id of the event."""
    version: int
    """Position of the event in its stream: 1, 2, 3 and so on."""
    duplicate: bool
    """True if an event with this id was already there, so that nothing was appended."""


class StoredEvent(Result):
    """An event as it is stored."""

    version: int
    """Position of the event in its stream: 1, 2, 3 and so on."""
    id: str
    """Id, unique in its stream."""
    type: str
    """Type of the event."""
    time: Timestamp | None
    """When the event happened, according to its writer."""
    data: TypedData
    """Content of the event: names with typed values."""
    recorded_at: Timestamp
    """When the event was appended."""


class EventsResult(Result):
    """Consecutive events of a stream; empty at its end, and for an unknown stream."""

    stream: str
    """Name of the stream."""
    events: list[StoredEvent]
    """The events, in order of version."""
    next_after: int
    """Pass as `after` of the next read."""


class ListStreamsResult(NamesResult):
    """One page of streams."""

    streams: list[str]
    """Names of streams."""


@register
class AppendEvent(Command, Returns[AppendResult]):
    """Append an event to a stream; has no effect if an event with its id is already there."""

    op: Literal["event_stream.append"] = "event_stream.append"
    stream: StreamName
    """Name of the stream; the first append creates it."""
    event: Event
    """The event to append."""
    expected_version: int | None = Field(None, ge=0)
    """Append only if the stream ends at this version (0: is empty), else PRECONDITION_FAILED."""

    @property
    def item_key(self) -> str | None:
        return f"{self.kind}:{self.stream}"

    @property
    def subject(self) -> str:
        return self.stream

    @property
    def size(self) -> int:
        return data_size(self.event.data)

    @property
    def event_id(self) -> str:
        """Id of the event: its own, or else the op_id."""
        return self.event.id or self.op_id


@register
class ReadEvents(Command, Returns[EventsResult]):
    """Read events in order, from the one after a version. Readers keep their own position."""

    writes = False
    op: Literal["event_stream.read"] = "event_stream.read"
    stream: StreamName
    """Name of the stream."""
    after: int = Field(0, ge=0)
    """Version of the last event already read; 0 reads from the beginning."""
    limit: int = Field(100, ge=1, le=1000)
    """Maximum number of events; fewer are returned if they are large."""

    @property
    def item_key(self) -> str | None:
        return f"{self.kind}:{self.stream}"

    @property
    def subject(self) -> str:
        return self.stream


@register
class ListStreams(ListNames, Returns[ListStreamsResult]):
    """Read one page of the names of streams."""

    op: Literal["event_stream.list_streams"] = "event_stream.list_streams"
