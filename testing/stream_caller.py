"""Short commands to one event stream store, for the cases of the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from signalbox.adapters.event_stream import EventStream
from signalbox.adapters.port import Call
from signalbox.commands.event_stream import (
    AppendEvent,
    AppendResult,
    Event,
    EventsResult,
    ReadEvents,
    StoredEvent,
)
from signalbox.testing.store_caller import StoreCaller

Item = tuple[AppendEvent, Call]


@dataclass(frozen=True)
class StreamCaller(StoreCaller):
    """The event streams of one tenant and env; `orders` by default."""

    store: EventStream

    def item(
        self,
        data: dict[str, Any] | None = None,
        *,
        stream: str = "orders",
        call: Call | None = None,
        expected_version: int | None = None,
        type: str = "placed",  # noqa: A002 - the field's name
        **fields: Any,
    ) -> Item:
        """Return an append and its call."""
        call = call or self.call()
        command = AppendEvent(
            **self.scope_fields,
            op_id=call.mark,
            stream=stream,
            event=Event(type=type, data=data or {}, **fields),
            expected_version=expected_version,
        )
        return command, call

    def append(self, data: dict[str, Any] | None = None, **fields: Any) -> AppendResult:
        """Append an event."""
        return self.store.append(*self.item(data, **fields))

    def read(
        self, stream: str = "orders", *, call: Call | None = None, **fields: Any
    ) -> EventsResult:
        """Return one page of events."""
        command = ReadEvents(**self.scope_fields, stream=stream, **fields)
        return self.store.read(command, call or self.call())

    def events(self, stream: str = "orders", after: int = 0, **fields: Any) -> list[StoredEvent]:
        """Return all events with version > `after`, in as many reads as needed."""
        events: list[StoredEvent] = []
        while True:
            page = self.read(stream, after=after, **fields)
            if not page.events:
                assert page.next_after == after
                return events
            assert page.next_after == page.events[-1].version
            events += page.events
            after = page.next_after

    def history(self, stream: str = "orders") -> list[tuple[int, Any]]:
        """Return versions and data of all events."""
        return [(event.version, event.data) for event in self.events(stream)]


OpenStream = Callable[..., StreamCaller]
"""Opens a StreamCaller: `(tenant, env, config)`, each with a default."""
