"""The commands of an event stream (a timeline) and what they answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from signalbox.commands.model import Command, register
from signalbox.commands.name import EventId, EventType, StreamName
from signalbox.commands.result import Result, Returns
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import TypedData, data_size


class Event(BaseModel):
    """What is to be appended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: EventId | None = Field(
        None, description="Unique in its stream; the command's op_id where it is left out."
    )
    type: EventType
    time: Timestamp | None = Field(None, description="When it happened, if the writer says so.")
    data: TypedData = Field(default_factory=dict)


class AppendResult(Result):
    stream: str
    event_id: str
    version: int = Field(description="The event's place in its stream: 1, 2, 3 and so on.")
    duplicate: bool = Field(description="An event of this id was there before this command.")


class StoredEvent(Result):
    version: int
    id: str
    type: str
    time: Timestamp | None
    data: TypedData
    recorded_at: Timestamp


class EventsResult(Result):
    """Events without a gap; none: the reader is at the end. An unknown stream has none."""

    stream: str
    events: list[StoredEvent]
    next_after: int = Field(description="`after` of the next read.")


@register
class AppendEvent(Command, Returns[AppendResult]):
    """Add an event at the end of a stream; one whose id is there already has no effect."""

    op: Literal["event_stream.append"] = "event_stream.append"
    stream: StreamName
    event: Event
    expected_version: int | None = Field(
        None,
        ge=0,
        description="Append only to a stream that ends at this version (0: an empty one); "
        "PRECONDITION_FAILED else.",
    )

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
        """The event's id in its stream."""
        return self.event.id or self.op_id


@register
class ReadEvents(Command, Returns[EventsResult]):
    """Events behind a version, in order. Each reader keeps its own place."""

    writes = False
    op: Literal["event_stream.read"] = "event_stream.read"
    stream: StreamName
    after: int = Field(0, ge=0, description="Version of the last event already read.")
    limit: int = Field(100, ge=1, le=1000, description="Events at most; large ones make it fewer.")

    @property
    def item_key(self) -> str | None:
        return f"{self.kind}:{self.stream}"

    @property
    def subject(self) -> str:
        return self.stream
