"""Streams on DynamoDB: an item for each event, 10,000 in a partition, and a head that counts them.

Events, their marks and the head are written in one transaction, which holds only while the head is
as it was read: so versions have no gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.dynamodb.append import Answer, append_group
from adapters.dynamodb.batch import MOST_ACTIONS, MOST_BYTES, lapsed
from adapters.dynamodb.config import read_config
from adapters.dynamodb.event import stored_event
from adapters.dynamodb.failure import dynamodb_errors, located
from adapters.dynamodb.item import MOST_ITEM_BYTES, Item, read_integer
from adapters.dynamodb.key import BLOCK, MOST_VERSION, Layout
from adapters.dynamodb.table import Table
from adapters.event_stream import EventStream
from adapters.port import AdapterContext, Call, Capability
from adapters.row_query import PAGE_BYTES
from commands.error import SignalboxError
from commands.event_stream import (
    AppendEvent,
    AppendResult,
    EventsResult,
    ReadEvents,
    StoredEvent,
)
from commands.scope import ResourceKind
from commands.value import data_size

AppendItem = tuple[AppendEvent, Call]


def open_adapter(context: AdapterContext) -> EventStream:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return DynamoDBEventStream(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no DynamoDB route can have. No call out."""
    read_config(config, ResourceKind.EVENT_STREAM)


class DynamoDBEventStream:
    """The port on DynamoDB."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.EVENT_STREAM)
        self._scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """Two requests; more only if another writer comes in between."""
        answer = self.append_many([(command, call)])[0]
        if isinstance(answer, SignalboxError):
            raise answer
        return answer

    def append_many(self, items: Sequence[AppendItem]) -> list[AppendResult | SignalboxError]:
        """Two requests for up to 49 events of a stream, or 33 of as many streams."""
        answers: dict[int, Answer] = {}
        stopped: dict[str, SignalboxError] = {}
        for group in _groups(items):
            part = []
            for number in group:
                command, call = items[number]
                if command.stream not in stopped and (error := lapsed(call)) is not None:
                    stopped[command.stream] = located(error, self._scope)
                if command.stream in stopped:
                    answers[number] = stopped[command.stream]
                else:
                    part.append(number)
            for number, answer in zip(part, self._append([items[n] for n in part]), strict=True):
                answers[number] = answer
                if isinstance(answer, SignalboxError):
                    located(answer, self._scope)
                    if answer.temporary:
                        stopped[items[number][0].stream] = answer
        return [answers[number] for number in range(len(items))]

    def read(self, command: ReadEvents, call: Call) -> EventsResult:
        """One request for a page, or two where it begins in one partition and ends in the next;
        reads no more than it gives.

        Of a transaction a reader may see a later event before an earlier one: the page ends there.
        """
        with dynamodb_errors(self._scope):
            events: list[StoredEvent] = []
            size, last = 0, command.after
            for item in self._items(command, call):
                if read_integer(item, "version") != last + 1:
                    break
                events.append(stored_event(item))
                last += 1
                size += data_size(events[-1].data)
                if len(events) == command.limit or size > PAGE_BYTES:
                    break
            return EventsResult(stream=command.stream, events=events, next_after=last)

    def close(self) -> None:
        """Nothing to give back: the clients belong to the process."""

    def _items(self, command: ReadEvents, call: Call) -> Iterator[Item]:
        after, given = command.after, 0
        while after <= MOST_VERSION:
            block = after // BLOCK
            for item in self._table.walk(
                self._layout.events(command.stream, block),
                call,
                behind=after.to_bytes(8, "big"),
                first=command.limit - given,
            ):
                given += 1
                yield item
            after = command.after + given
            # Only behind a full partition there is another.
            if after != (block + 1) * BLOCK:
                return

    def _append(self, items: list[AppendItem]) -> list[Answer]:
        if not items:
            return []
        try:
            with dynamodb_errors(self._scope):
                return append_group(self._table, self._layout, items)
        except SignalboxError as error:
            return [error] * len(items)


def _groups(items: Sequence[AppendItem]) -> Iterator[list[int]]:
    """Cut a row of appends into transactions."""
    group: list[int] = []
    streams: set[str] = set()
    size = 0
    for number, (command, _) in enumerate(items):
        # Names and JSON make more of the data, but never more than an item may have.
        more = min(3 * command.size + 4096, MOST_ITEM_BYTES)
        actions = 2 * (len(group) + 1) + len(streams | {command.stream})
        if group and (actions > MOST_ACTIONS or size + more > MOST_BYTES):
            yield group
            group, streams, size = [], set(), 0
        group.append(number)
        streams.add(command.stream)
        size += more
    if group:
        yield group
