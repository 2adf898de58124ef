"""Streams on Firestore: a document for each event, and a head that counts them.

Events and head are written in one commit, which holds only while the head is as it was read: so
versions have no gap, and no reader sees one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.event_stream import EventStream
from adapters.firestore.append import Item, append_group
from adapters.firestore.config import read_config
from adapters.firestore.database import CHUNK, Database, groups, lapsed, room
from adapters.firestore.event import stored_event
from adapters.firestore.failure import firestore_errors, located
from adapters.firestore.message import CursorPb
from adapters.firestore.name import Layout
from adapters.port import AdapterContext, Call, Capability
from adapters.row_query import PAGE_BYTES
from adapters.stored import not_asked
from commands.error import SignalboxError
from commands.event_stream import (
    AppendEvent,
    AppendResult,
    EventsResult,
    ReadEvents,
    StoredEvent,
)
from commands.scope import ResourceKind
from commands.value import MAX_INT, data_size

MOST_EVENTS = 250
"""In one commit, so that with their heads they are at most 500 writes."""


def open_adapter(context: AdapterContext) -> EventStream:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return FirestoreEventStream(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no Firestore route can have. No call out."""
    read_config(config, ResourceKind.EVENT_STREAM)


class FirestoreEventStream:
    """The port on Firestore."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.EVENT_STREAM)
        self._scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """Two requests; more only if another writer comes in between."""
        answer = self.append_many([(command, call)])[0]
        if isinstance(answer, SignalboxError):
            raise answer
        return answer

    def append_many(self, items: Sequence[Item]) -> list[AppendResult | SignalboxError]:
        """Two requests for up to 250 events of whichever streams."""
        answers: dict[int, AppendResult | SignalboxError] = {}
        stopped: dict[str, SignalboxError] = {}
        for group in groups([room(command.size) for command, _ in items], MOST_EVENTS):
            open_ones: list[int] = []
            for number in group:
                command, call = items[number]
                error = stopped.get(command.stream) or lapsed(call)
                if error is None:
                    open_ones.append(number)
                else:
                    stopped[command.stream] = answers[number] = located(error, self._scope)
            given = self._append([items[number] for number in open_ones])
            for number, answer in zip(open_ones, given, strict=True):
                answers[number] = answer
                if isinstance(answer, SignalboxError):
                    located(answer, self._scope)
                    if answer.temporary:
                        stopped[items[number][0].stream] = answer
        return [answers[number] for number in range(len(items))]

    def read(self, command: ReadEvents, call: Call) -> EventsResult:
        """One request for up to 300 events; reads no more than it gives."""
        with firestore_errors(self._scope):
            start = CursorPb(before=False)
            start.values.add(integer_value=min(command.after, MAX_INT))
            documents = self._database.walk(
                self._layout.collection("streams", command.stream, "events"),
                call,
                order="version",
                start=start,
                first=min(CHUNK, command.limit),
                fields_of_order=lambda document: document.fields["version"],
            )
            events: list[StoredEvent] = []
            size, last = 0, command.after
            for document in documents:
                event = stored_event(document)
                if event.version != last + 1:
                    raise not_asked("an event that is not the next")
                last += 1
                events.append(event)
                size += data_size(events[-1].data)
                if len(events) == command.limit or size > PAGE_BYTES:
                    break
            return EventsResult(stream=command.stream, events=events, next_after=last)

    def close(self) -> None:
        """Nothing to give back: the channels belong to the process."""

    def _append(self, items: list[Item]) -> list[AppendResult | SignalboxError]:
        if not items:
            return []
        try:
            with firestore_errors(self._scope):
                return append_group(self._database, self._layout, items)
        except SignalboxError as error:
            return [error] * len(items)
