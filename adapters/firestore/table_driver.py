"""Table driver for Firestore: a row is a document, written only if it is unchanged since the look.

A session takes two requests: a look at three fields of each document, and the writes. Firestore
walks by key in its own order, and filters and orders by its column indexes (`row_plan.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as api

from signalbox.adapters.firestore import database
from signalbox.adapters.firestore.config import read_config
from signalbox.adapters.firestore.database import CHUNK, REQUEST, Database, room
from signalbox.adapters.firestore.failure import PASSING, SERVICE
from signalbox.adapters.firestore.message import CursorPb, Message, field_name
from signalbox.adapters.firestore.name import Collection, Layout, row_id
from signalbox.adapters.firestore.name_page import names_page
from signalbox.adapters.firestore.row import TRACE_FIELDS, row_of, trace_of, write_of
from signalbox.adapters.firestore.row_plan import (
    Plan,
    column_path,
    end_of,
    in_order,
    start_of,
    ways_of,
)
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_condition import Trace
from signalbox.adapters.row_query import OrderKey, has_rank, order_key, unranked_position
from signalbox.adapters.table_driver import (
    Changed,
    End,
    NotIndexed,
    RowId,
    RowWrite,
    TableTraits,
    Way,
)
from signalbox.commands.error import SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import QueryRows, Row


def open_driver(context: AdapterContext) -> FirestoreTableDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return FirestoreTableDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.TABULAR_STORE)


class FirestoreTableDriver:
    """A TableDriver. A session takes up to 500 rows."""

    service = SERVICE
    traits = TableTraits(request=REQUEST, room=room)

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.TABULAR_STORE)
        self.scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        yield _Session(self, limit)

    def record(self, write: RowWrite) -> Message:
        return write_of(self._name(write.row), write)

    def size(self, record: Message) -> int:
        return int(record.ByteSize())

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Message]:
        return self._read(rows, limit)

    def row(self, stored: Message) -> Row | None:
        return row_of(stored)

    def ways(self, query: QueryRows, limit: TimeLimit) -> Iterator[Way]:  # noqa: ARG002
        """Return the ways of `ways_of`; makes no call."""
        return ways_of(query)

    @contextmanager
    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> Iterator[Iterator[Row]]:
        collection, plan = self._collection(query.table_name), way.plan
        try:
            if not way.ordered:
                where = plan.where(bounded=False)
                yield _rows(self._database.walk(collection, limit, where=where))
            elif plan.column is None:
                yield self._by_key(collection, query, plan, position, limit)
            else:
                yield self._by_column(collection, query, plan, position, limit)
        except api.FailedPrecondition as error:
            # An index that is not there, exempted, or still being built.
            if way.ordered or plan.equal:
                raise NotIndexed from error
            raise

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._database, self._layout.groups("tables"), query, limit)

    def close(self) -> None:
        """Do nothing: the channels belong to the process."""

    def look(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Trace]:
        """Return the traces of the rows that have one."""
        found = self._read(rows, limit, *TRACE_FIELDS)
        return {row: trace_of(document) for row, document in found.items()}

    def write(self, writes: Sequence[Message], limit: TimeLimit) -> list[End]:
        """Write each row by itself, only if it is unchanged since the look."""
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
        plan: Plan,
        position: OrderKey | None,
        limit: TimeLimit,
    ) -> Iterator[Row]:
        where = plan.where(bounded=False)
        first = min(CHUNK, query.limit + 1) if len(plan.equal) == len(query.filters) else CHUNK
        start = CursorPb(before=False) if position is not None else None
        if not query.descending:
            if start is not None and position is not None:
                start.values.add(reference_value=collection.document(row_id(position[2])))
            return _rows(
                self._database.walk(collection, limit, start=start, where=where, first=first)
            )
        # Firestore walks by name forwards only; backwards it takes the index of the field `key`.
        if start is not None and position is not None:
            start.values.add(string_value=position[2].decode())
        return _rows(
            self._database.walk(
                collection,
                limit,
                order="key",
                descending=True,
                start=start,
                where=where,
                first=first,
                fields_of_order=lambda document: document.fields["key"],
            )
        )

    def _by_column(
        self,
        collection: Collection,
        query: QueryRows,
        plan: Plan,
        position: OrderKey | None,
        limit: TimeLimit,
    ) -> Iterator[Row]:
        """Yield the rows in the column's index, and then those that it does not contain."""
        unranked = unranked_position(query, b"")[:2]
        begun = position is not None and position[:2] == unranked
        if not begun:
            field = field_name(plan.column or "")
            documents = self._database.walk(
                collection,
                limit,
                order=column_path(plan.column or ""),
                descending=query.descending,
                start=start_of(query, plan, position, _document(collection, position)),
                end=end_of(query, plan),
                where=plan.where(bounded=True),
                first=min(CHUNK, query.limit + 1),
                fields_of_order=lambda document: document.fields["data"].map_value.fields[field],
                ties=True,
            )
            yield from in_order(query, _rows(documents))
        if not has_rank(query):
            behind = position if begun else None
            for row in self._by_key(collection, query, plan, behind, limit):
                if order_key(query, row)[:2] == unranked:
                    yield row

    def _name(self, row: RowId) -> str:
        table_name, key = row
        return self._collection(table_name).document(row_id(key.encode()))

    def _collection(self, table_name: str) -> Collection:
        return self._layout.collection("tables", table_name, "rows")


class _Session:
    def __init__(self, driver: FirestoreTableDriver, limit: TimeLimit) -> None:
        self._driver, self._limit = driver, limit

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        return self._driver.look(rows, self._limit)

    def write(self, records: Sequence[Message]) -> list[End]:
        return self._driver.write(records, self._limit)


def _document(collection: Collection, position: OrderKey | None) -> str:
    return collection.document(row_id(position[2] if position is not None else b""))


def _rows(documents: Iterator[Message]) -> Iterator[Row]:
    return (row for row in map(row_of, documents) if row is not None)
