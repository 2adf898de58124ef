"""Queries over the rows of a table, each in the one transaction of its page.

SQLite walks by key, whose order is that of the port, and leaves out what cannot pass; what a
filter and an order mean is decided by `adapters/row_query.py` alone. In particular no number is
compared by SQLite to its last digit: it reads decimals a little differently.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import apsw

from signalbox.adapters.filesystem.row_table import row_of
from signalbox.adapters.row_query import OrderKey, order_key, passes
from signalbox.commands.tabular_store import Filter, QueryRows, Row
from signalbox.commands.value import json_form

_MARGIN: Final = 1e-9
_ABSOLUTE_MARGIN: Final = 1e-300
_COMPARE: Final = {"eq": "=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

Condition = tuple[str, tuple[Any, ...]]
"""An expression of SQL, and the values of its parameters."""


def query_rows(
    connection: apsw.Connection, query: QueryRows, position: OrderKey | None
) -> Iterator[Row]:
    """Yield rows in the query's order after `position`, read when they are requested.

    With `order_by` it reads the table, and keeps the keys of a page in memory.
    """
    if query.order_by is not None:
        return _rows_of(connection, query, _next_keys(connection, query, position))
    conditions = _filters(query)
    if position is not None:
        conditions.append((f"key {'<' if query.descending else '>'} ?", (position[2].decode(),)))
    order = "ORDER BY key DESC" if query.descending else "ORDER BY key"
    return _rows(connection, query, conditions, order)


def _next_keys(
    connection: apsw.Connection, query: QueryRows, position: OrderKey | None
) -> list[bytes]:
    """Return the keys of the page's rows and of one more, in the query's order."""
    conditions = _filters(query)
    rows = _rows(connection, query, conditions, "")
    keys = (order_key(query, row) for row in rows if passes(query, row))
    pick = heapq.nsmallest
    if query.descending:
        pick = heapq.nlargest
        later = (key for key in keys if position is None or key < position)
    else:
        later = (key for key in keys if position is None or key > position)
    return [key for _, _, key in pick(query.limit + 1, later)]


def _rows_of(connection: apsw.Connection, query: QueryRows, keys: list[bytes]) -> Iterator[Row]:
    for key in keys:
        yield from _rows(connection, query, [("key = ?", (key.decode(),))], "")


def _rows(
    connection: apsw.Connection, query: QueryRows, conditions: list[Condition], order: str
) -> Iterator[Row]:
    """Yield the rows that fulfil the conditions, read when they are requested."""
    texts = "".join(f" AND {text}" for text, _ in conditions)
    values = [value for _, of_one in conditions for value in of_one]
    question = (
        "SELECT key, data, seq FROM rows "  # noqa: S608 - every value is a parameter
        f"WHERE tab = (SELECT number FROM tables WHERE name = ?) AND gone IS NULL{texts} {order}"
    )
    found: Any = connection.execute(question, (query.table_name, *values))
    return (row_of(*row) for row in found)


def _filters(query: QueryRows) -> list[Condition]:
    """Return conditions that every row that passes fulfils; other rows may fulfil them too."""
    found = (_condition(test) for test in query.filters)
    return [condition for condition in found if condition is not None]


def _condition(test: Filter) -> Condition | None:
    path, value = _path(test.column), test.value
    if path is None:
        return None
    if isinstance(value, str):
        return f"json_extract(data, ?) {_COMPARE[test.op]} ?", (path, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _near(path, test.op, float(value))
    if isinstance(value, bytes | datetime) and test.op == "eq":
        [(tag, text)] = json_form(value).items()
        return "json_extract(data, ?) = ?", (f'{path}."{tag}"', text)
    return "json_type(data, ?) IS NOT NULL", (path,)


def _near(path: str, op: str, value: float) -> Condition:
    margin = abs(value) * _MARGIN + _ABSOLUTE_MARGIN
    low = value - margin if op in ("eq", "gt", "ge") else float("-inf")
    high = value + margin if op in ("eq", "lt", "le") else float("inf")
    return "json_extract(data, ?) BETWEEN ? AND ?", (path, low, high)


def _path(column: str) -> str | None:
    """Return the column's path in SQLite's notation; None if it has no safe one."""
    return None if '"' in column or "\\" in column else f'$."{column}"'
