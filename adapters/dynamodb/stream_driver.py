"""Stream driver for DynamoDB: an item for each event, 10,000 in a partition, and a head per stream.

An event's item is named by its version, so that a range can be read in order. Another item, named
by the event's id, has its version, and the head has the stream's last version. All are written in
one transaction, on condition that the head is as it was read; so versions have no gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from signalbox.adapters.dynamodb.config import read_config
from signalbox.adapters.dynamodb.failure import SERVICE, translate_reason
from signalbox.adapters.dynamodb.item import (
    MAX_ITEM_BYTES,
    Item,
    fitting,
    from_json,
    keyed,
    number,
    read_integer,
    read_text,
    to_json,
)
from signalbox.adapters.dynamodb.key import BLOCK, MAX_VERSION, Layout
from signalbox.adapters.dynamodb.name_page import names_page
from signalbox.adapters.dynamodb.table import TRANSACTION, Cancelled, Table
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.stored import readable
from signalbox.adapters.stream_driver import Changed, NewEvent, StreamEnd, StreamTraits
from signalbox.commands.event_stream import StoredEvent
from signalbox.commands.scope import ResourceKind
from signalbox.commands.value import data_size

_CHANGED = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})
_NEW: tuple[str, dict[str, str], Item] = ("attribute_not_exists(#pk)", {"#pk": "pk"}, {})


def open_driver(context: AdapterContext) -> DynamoDBStreamDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return DynamoDBStreamDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.EVENT_STREAM)


def _room(size: int) -> int:
    # Names and JSON make the data larger, but never more than an item may be.
    return min(3 * size + 4096, MAX_ITEM_BYTES)


class DynamoDBStreamDriver:
    """A StreamDriver. A session takes two requests, a page one or two.

    A session has up to 49 events of one stream, or 33 of as many streams. A page takes two requests
    if it ends in another partition.
    """

    service = SERVICE
    # Readers may see a later event of a transaction before an earlier one.
    traits = StreamTraits(
        request=TRANSACTION,
        event_records=2,
        stream_records=1,
        room=_room,
        whole_reads=False,
    )

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.EVENT_STREAM)
        self.scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        yield _Session(self._table, self._layout, limit)

    @contextmanager
    def read(
        self, stream: str, after: int, count: int, limit: TimeLimit
    ) -> Iterator[Iterator[tuple[StoredEvent, int]]]:
        yield map(_stored, self._items(stream, after, count, limit))

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._table, self._layout.heads, query, limit)

    def close(self) -> None:
        """Do nothing: the clients belong to the process."""

    def _items(self, stream: str, begin: int, count: int, limit: TimeLimit) -> Iterator[Item]:
        after, given = begin, 0
        while after <= MAX_VERSION:
            block = after // BLOCK
            for item in self._table.walk(
                self._layout.events(stream, block),
                limit,
                after=after.to_bytes(8, "big"),
                first=count - given,
            ):
                given += 1
                yield item
            after = begin + given
            # There is another partition only after a full one.
            if after != (block + 1) * BLOCK:
                return


class _Record(NamedTuple):
    """An event to append: its item, and the item of its id."""

    stream: str
    version: int
    event: Item
    id: Item


class _Session:
    def __init__(self, table: Table, layout: Layout, limit: TimeLimit) -> None:
        self._table, self._layout, self._limit = table, layout, limit
        self._found: dict[str, int] = {}

    def look(self, wanted: Mapping[str, Collection[str]]) -> dict[str, StreamEnd]:
        layout = self._layout
        heads = {stream: layout.head(stream) for stream in wanted}
        ids = {
            (stream, event_id): layout.event_id(stream, event_id)
            for stream, event_ids in wanted.items()
            for event_id in event_ids
        }
        there = self._table.read([*heads.values(), *ids.values()], self._limit, "version", "op")
        self._found = {s: read_integer(there.get(key, {}), "version") for s, key in heads.items()}
        ends = {stream: StreamEnd(version, {}) for stream, version in self._found.items()}
        for (stream, event_id), key in ids.items():
            if (item := there.get(key)) is not None:
                known = (read_integer(item, "version"), read_text(item, "op"))
                ends[stream].events[event_id] = known
        return ends

    def record(self, event: NewEvent) -> _Record:
        item = keyed(
            self._layout.event(event.stream, event.version),
            version=number(event.version),
            op={"S": event.writer},
            id={"S": event.id},
            type={"S": event.event.type},
            recorded_at={"S": event.recorded_at.isoformat()},
            data={"S": to_json(event.event.data)},
        )
        if event.event.time is not None:
            item["time"] = {"S": event.event.time.isoformat()}
        of_id = keyed(
            self._layout.event_id(event.stream, event.id),
            version=number(event.version),
            op={"S": event.writer},
        )
        return _Record(event.stream, event.version, fitting(item, "the event"), of_id)

    def append(self, records: Sequence[_Record]) -> None:
        ends = {record.stream: record.version for record in records}
        puts = [self._put_head(stream, version) for stream, version in ends.items()]
        puts += [
            self._table.condition(item, *_NEW)
            for record in records
            for item in (record.event, record.id)
        ]
        try:
            self._table.transact(puts, self._limit)
        except Cancelled as cancelled:
            for code, _ in cancelled.reasons:
                if code not in _CHANGED:
                    raise translate_reason(code) from None
            raise Changed from None

    def _put_head(self, stream: str, version: int) -> dict[str, Any]:
        """Return the put of the head, on condition that it is still as it was found.

        Of two concurrent appends, one is therefore refused and looks again.
        """
        item = keyed(self._layout.head(stream), version=number(version))
        if self._found[stream] == 0:
            return self._table.condition(item, *_NEW)
        values: Item = {":found": number(self._found[stream])}
        return self._table.condition(item, "#v = :found", {"#v": "version"}, values)


def _stored(item: Item) -> tuple[StoredEvent, int]:
    with readable("an event"):
        event = StoredEvent(
            version=read_integer(item, "version"),
            id=item["id"]["S"],
            type=item["type"]["S"],
            time=datetime.fromisoformat(item["time"]["S"]) if "time" in item else None,
            data=from_json(item["data"]["S"]),
            recorded_at=datetime.fromisoformat(item["recorded_at"]["S"]),
        )
        return event, data_size(event.data)
