"""Defines filters and order of table queries, for all backends.

A backend may let its server do any part of this, as long as the result is the same.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from signalbox.adapters.cursor import cursor_refused, make_cursor, open_cursor
from signalbox.commands.error import InvalidCommand
from signalbox.commands.tabular_store import Filter, QueryResult, QueryRows, Row
from signalbox.commands.value import Data, Value, data_size, json_form, read_value

PAGE_BYTES: Final = 1024 * 1024
"""Size of rows or events after which a page ends, with the one that crosses it."""
ORDER_BYTES: Final = 1024
"""Length of a string or bytes by which rows are ordered; rows that agree in it are ordered by key.
A cursor contains it, so this keeps cursors short."""


class ValueClass(IntEnum):
    """Class of a value. Values are compared within their class, and classes are in this order.

    Lists and objects have no order: they come last, with the rows that lack the column.
    """

    NULL = 0
    BOOL = 1
    NUMBER = 2
    TIMESTAMP = 3
    STRING = 4
    BYTES = 5
    NESTED = 6


def class_of(value: Value) -> ValueClass:
    if value is None:
        return ValueClass.NULL
    if isinstance(value, bool):
        return ValueClass.BOOL
    if isinstance(value, int | float):
        return ValueClass.NUMBER
    if isinstance(value, datetime):
        return ValueClass.TIMESTAMP
    if isinstance(value, str):
        return ValueClass.STRING
    return ValueClass.BYTES if isinstance(value, bytes) else ValueClass.NESTED


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

OrderKey = tuple[int, Any, bytes]
"""Key by which rows are sorted: class and value of the ordering column, then the row's key, both as
UTF-8. Rows without an ordered value have a class after all others in the query's direction."""


def order_key(query: QueryRows, row: Row) -> OrderKey:
    """Return the row's position in the query's order."""
    if query.order_by is None:
        return (0, 0, row.key.encode())
    # What lacks the column has as little of an order as a list.
    value = row.data.get(query.order_by, [])
    kind, rank = rank_of(value)
    if kind is ValueClass.NESTED:
        return unranked_position(query, row.key.encode())
    return (int(kind), rank, row.key.encode())


def rank_of(value: Value) -> tuple[ValueClass, Any]:
    """Return class and rank, by which values are ordered; all values of class NESTED are equal."""
    kind = class_of(value)
    return kind, 0 if kind is ValueClass.NESTED else _rank(value)


def unranked_position(query: QueryRows, key: bytes) -> OrderKey:
    """Return the position of a row without the ordering column, or with a list or object there."""
    return (-1 if query.descending else int(ValueClass.NESTED), 0, key)


def has_rank(query: QueryRows) -> bool:
    """Return whether all rows that pass have an ordered value in the column of `order_by`."""
    return any(
        test.column == query.order_by and class_of(test.value) is not ValueClass.NESTED
        for test in query.filters
    )


def passes(query: QueryRows, row: Row) -> bool:
    """Return whether the row passes the query's filters."""
    return all(_holds(test, row) for test in query.filters)


def needed_texts(query: QueryRows, spell: Callable[[Data], str]) -> list[str]:
    """Return texts that the stored data of every row that passes contains.

    A service that searches for them need not send the other rows. `spell` returns data as the
    compact JSON in which it is stored. Rows that do not pass may contain the texts too. Equal
    numbers or timestamps can be written differently, so for them, and for comparisons other than
    `eq`, only the column's name is searched for.
    """
    texts = []
    for test in query.filters:
        exact = test.op == "eq" and isinstance(test.value, str | bool | bytes | None)
        whole = spell({test.column: test.value if exact else 0})[1:-1]
        texts.append(whole if exact else whole[:-1])
    return list(dict.fromkeys(texts))


def check_query(query: QueryRows) -> None:
    """Raise InvalidCommand for a comparison that has no order."""
    for test in query.filters:
        if test.op != "eq" and class_of(test.value) in (ValueClass.NESTED, ValueClass.NULL):
            raise InvalidCommand(
                f"the filter on {test.column[:40]!r} compares null, a list or an object by order",
                next_step="use eq, or compare with a number, string, bytes, bool or timestamp",
            )


def start_position(query: QueryRows) -> OrderKey | None:
    """Return the position after which the page begins, or None. Raises InvalidCommand."""
    check_query(query)
    if query.cursor is None:
        return None
    try:
        kind, value, key = open_cursor(query, query.cursor)
        value, key = read_value(value), key.encode()
        if query.order_by is None:
            return (0, 0, key)
        unranked = unranked_position(query, key)
        if (kind, value) == unranked[:2]:
            return unranked
        kind = ValueClass(kind)
    except (ValueError, TypeError, AttributeError):
        raise cursor_refused() from None
    if kind is ValueClass.NESTED or class_of(value) is not _RANKED_AS.get(kind, kind):
        raise cursor_refused()
    return (int(kind), value, key)


def cursor_after(query: QueryRows, row: Row) -> str:
    """Return the cursor that continues after a row."""
    kind, value, _ = order_key(query, row)
    return make_cursor(query, [kind, json_form(value), row.key])


def page_of(query: QueryRows, rows: Iterable[Row]) -> QueryResult:
    """Return a page of rows that arrive in the query's order, without those that do not pass.

    Reads no more rows than necessary.
    """
    position = start_position(query)
    return _cut(query, (row for row in rows if _wanted(query, position, row)))


def page_of_unordered(query: QueryRows, rows: Iterable[Row]) -> QueryResult:
    """Return a page of rows that arrive in any order; reads all, and keeps a page in memory."""
    position = start_position(query)
    wanted = (row for row in rows if _wanted(query, position, row))
    pick = heapq.nlargest if query.descending else heapq.nsmallest
    return _cut(query, iter(pick(query.limit + 1, wanted, key=lambda row: order_key(query, row))))


def _wanted(query: QueryRows, position: OrderKey | None, row: Row) -> bool:
    if not passes(query, row):
        return False
    if position is None:
        return True
    return (
        order_key(query, row) < position if query.descending else order_key(query, row) > position
    )


def _cut(query: QueryRows, rows: Iterator[Row]) -> QueryResult:
    page: list[Row] = []
    size = 0
    for row in rows:
        if len(page) == query.limit or size > PAGE_BYTES:
            return QueryResult(rows=page, next_cursor=cursor_after(query, page[-1]))
        page.append(row)
        size += data_size(row.data) + len(row.key)
    return QueryResult(rows=page)


def _holds(test: Filter, row: Row) -> bool:
    if test.column not in row.data:
        return False
    value = row.data[test.column]
    if class_of(value) is not class_of(test.value):
        return False
    if class_of(value) is ValueClass.NESTED:
        return same(value, test.value)
    return _COMPARE[test.op](_comparable(value), _comparable(test.value))


def same(value: Value, other: Value) -> bool:
    """Return whether values are equal, without Python's `True == 1` inside lists and objects."""
    if class_of(value) is not class_of(other):
        return False
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(same(value[n], other[n]) for n in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(same, value, other))
    return bool(value == other)


def _comparable(value: Value) -> Any:
    # Strings by their UTF-8, which orders them by code point.
    if isinstance(value, str):
        return value.encode()
    return 0 if value is None else value


_RANKED_AS: dict[ValueClass, ValueClass] = {
    ValueClass.NULL: ValueClass.NUMBER,
    ValueClass.STRING: ValueClass.BYTES,
}
"""The class of a `_rank` if it differs from the value's class."""


def _rank(value: Value) -> Any:
    # A string is cut off before its encoding: one of a mebibyte costs no more than a short one.
    if isinstance(value, str | bytes):
        return _comparable(value[:ORDER_BYTES])[:ORDER_BYTES]
    return _comparable(value)
