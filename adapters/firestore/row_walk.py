"""The rows of a table for a query: from its place on, with as little read as gives the answer.

Every query could walk the table by key. Firestore's own order is used for that, and for an
equal-filter its index of that column, where both mean exactly what `adapters/row_query.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from google.api_core import exceptions as api
from google.cloud.firestore_v1.field_path import FieldPath

from adapters.firestore.database import CHUNK, Database
from adapters.firestore.message import (
    CursorPb,
    Message,
    StructuredQueryPb,
    field_name,
    set_value,
)
from adapters.firestore.name import Collection, row_id
from adapters.firestore.row import row_of
from adapters.port import Call
from adapters.row_query import open_place, page_of, page_of_unordered
from commands.tabular_store import QueryResult, QueryRows, Row
from commands.value import Value

_INDEXED_BYTES = 1000
"""Firestore cuts off what it indexes at 1,500 bytes."""
_EXACT = 2**53


def answer(database: Database, collection: Collection, query: QueryRows, call: Call) -> QueryResult:
    """The page. Raises InvalidCommand for a cursor of another query."""
    place = open_place(query)
    where = _equality(query)
    try:
        if query.order_by is not None:
            rows = _rows(database.walk(collection, call, where=where))
            return page_of_unordered(query, rows)
        return page_of(query, _by_key(database, collection, query, call, place and place[2], where))
    except api.FailedPrecondition:
        # An index that is exempted or still being built: the walk by name needs none.
        return page_of_unordered(query, _rows(database.walk(collection, call)))


def _by_key(
    database: Database,
    collection: Collection,
    query: QueryRows,
    call: Call,
    behind: bytes | None,
    where: Message | None,
) -> Iterator[Row]:
    first = min(CHUNK, query.limit + 1) if where is not None or not query.filters else CHUNK
    start = CursorPb(before=False) if behind is not None else None
    if not query.descending:
        if start is not None and behind is not None:
            start.values.add(reference_value=collection.document(row_id(behind)))
        return _rows(database.walk(collection, call, start=start, where=where, first=first))
    # Firestore walks by name forwards only; backwards it takes the index of the field `key`.
    if start is not None and behind is not None:
        start.values.add(string_value=behind.decode())
    return _rows(
        database.walk(
            collection,
            call,
            order="key",
            descending=True,
            start=start,
            first=first if not query.filters else CHUNK,
            fields_of_order=lambda document: document.fields["key"],
        )
    )


def _rows(documents: Iterator[Message]) -> Iterator[Row]:
    for document in documents:
        row = row_of(document)
        if row is not None:
            yield row


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
