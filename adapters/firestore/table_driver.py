"""Tables on Firestore: a row is a document, written only over what its writer has seen.

A turn costs two requests: a look at three fields of each document, and the writes. Firestore's own
order serves walks by key, and for an equal-filter its index of that column, where both mean exactly
what `adapters/row_query.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from google.api_core import exceptions as api
from google.cloud.firestore_v1.field_path import FieldPath

from signalbox.adapters.firestore import database
from signalbox.adapters.firestore.config import read_config
from signalbox.adapters.firestore.database import CHUNK, REQUEST, Database, room
from signalbox.adapters.firestore.failure import PASSING, SERVICE
from signalbox.adapters.firestore.message import (
    CursorPb,
    Message,
    StructuredQueryPb,
    field_name,
    set_value,
)
from signalbox.adapters.firestore.name import Collection, Layout, row_id
from signalbox.adapters.firestore.row import TRACE_FIELDS, row_of, trace_of, write_of
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_condition import Trace
from signalbox.adapters.row_query import OrderKey
from signalbox.adapters.table_driver import Changed, End, NotIndexed, RowId, RowWrite, TableTraits
from signalbox.commands.error import SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import Value

_INDEXED_BYTES = 1000
"""Firestore cuts off what it indexes at 1,500 bytes."""
_EXACT = 2**53


def open_driver(context: AdapterContext) -> FirestoreTableDriver:
    """The driver of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return FirestoreTableDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no Firestore route can have. No call out."""
    read_config(config, ResourceKind.TABULAR_STORE)


class FirestoreTableDriver:
    """A TableDriver. A turn takes up to 500 rows."""

    service = SERVICE
    traits = TableTraits(request=REQUEST, room=room)

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.TABULAR_STORE)
        self.scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @contextmanager
    def turn(self, limit: TimeLimit) -> Iterator[_Turn]:
        yield _Turn(self, limit)

    def record(self, write: RowWrite) -> Message:
        return write_of(self._name(write.row), write)

    def size(self, record: Message) -> int:
        return int(record.ByteSize())

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Message]:
        return self._read(rows, limit)

    def row(self, stored: Message) -> Row | None:
        return row_of(stored)

    @contextmanager
    def walk(
        self, query: QueryRows, place: OrderKey | None, limit: TimeLimit, *, plain: bool = False
    ) -> Iterator[Iterator[Row]]:
        collection = self._collection(query.table_name)
        where = None if plain else _equality(query)
        if plain or query.order_by is not None:
            documents = self._database.walk(collection, limit, where=where)
        else:
            documents = self._by_key(collection, query, limit, place and place[2], where)
        try:
            yield (row for row in map(row_of, documents) if row is not None)
        except api.FailedPrecondition as error:
            if plain:
                raise
            # An index that is exempted or still being built: the walk by name needs none.
            raise NotIndexed from error

    def close(self) -> None:
        """Nothing to give back: the channels belong to the process."""

    def look(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Trace]:
        """The traces of the rows that have one."""
        found = self._read(rows, limit, *TRACE_FIELDS)
        return {row: trace_of(document) for row, document in found.items()}

    def write(self, writes: Sequence[Message], limit: TimeLimit) -> list[End]:
        """Each for itself, only over what was seen."""
        if len(writes) < 2:
            return [self._alone(write, limit) for write in writes]
        try:
            ends = self._database.write_each(writes, limit)
        except api.InvalidArgument:
            # One that is too large for Firestore's own count spoils the request.
            return [self._alone(write, limit) for write in writes]
        again = (database.Changed, *PASSING)
        return [Changed() if isinstance(end, again) else end for end in ends]

    def _alone(self, write: Message, limit: TimeLimit) -> End:
        try:
            self._database.commit([write], limit)
        except database.Changed:
            return Changed()
        except SignalboxError as error:
            return error
        except SERVICE.failures as error:
            return error
        return None

    def _read(self, rows: Sequence[RowId], limit: TimeLimit, *fields: str) -> dict[RowId, Message]:
        names = {row: self._name(row) for row in rows}
        found = self._database.read([*names.values()], limit, *fields)
        there = ((row, found[name]) for row, name in names.items())
        return {row: document for row, document in there if document is not None}

    def _by_key(
        self,
        collection: Collection,
        query: QueryRows,
        limit: TimeLimit,
        behind: bytes | None,
        where: Message | None,
    ) -> Iterator[Message]:
        first = min(CHUNK, query.limit + 1) if where is not None or not query.filters else CHUNK
        start = CursorPb(before=False) if behind is not None else None
        if not query.descending:
            if start is not None and behind is not None:
                start.values.add(reference_value=collection.document(row_id(behind)))
            return self._database.walk(collection, limit, start=start, where=where, first=first)
        # Firestore walks by name forwards only; backwards it takes the index of the field `key`.
        if start is not None and behind is not None:
            start.values.add(string_value=behind.decode())
        return self._database.walk(
            collection,
            limit,
            order="key",
            descending=True,
            start=start,
            first=first if not query.filters else CHUNK,
            fields_of_order=lambda document: document.fields["key"],
        )

    def _name(self, row: RowId) -> str:
        table_name, key = row
        return self._collection(table_name).document(row_id(key.encode()))

    def _collection(self, table_name: str) -> Collection:
        return self._layout.collection("tables", table_name, "rows")


class _Turn:
    def __init__(self, driver: FirestoreTableDriver, limit: TimeLimit) -> None:
        self._driver, self._limit = driver, limit

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        return self._driver.look(rows, self._limit)

    def write(self, records: Sequence[Message]) -> list[End]:
        return self._driver.write(records, self._limit)


def _equality(query: QueryRows) -> Message | None:
    """The first filter that Firestore can apply without leaving out a row that passes."""
    for test in query.filters:
        if test.op == "eq" and _indexable(test.value):
            where = StructuredQueryPb.Filter()
            where.field_filter.op = StructuredQueryPb.FieldFilter.EQUAL
            path = FieldPath("data", field_name(test.column))
            where.field_filter.field.field_path = path.to_api_repr()
            set_value(where.field_filter.value, test.value)
            return where
    return None


def _indexable(value: Value) -> bool:
    if isinstance(value, bool | datetime):
        return True
    if isinstance(value, int | float):
        # Firestore tells -0.0 from 0; beyond 2^53 an integer has no equal float.
        return value != 0 and abs(value) < _EXACT
    if isinstance(value, str):
        return len(value.encode()) <= _INDEXED_BYTES
    return isinstance(value, bytes) and len(value) <= _INDEXED_BYTES
