"""Plans how Firestore selects and orders the rows of a query by its column indexes. No calls.

Firestore orders values as `adapters/row_query.py` does, with two exceptions: an index contains only
the first 1,500 bytes of a string, and the order of integers beyond 2^53 is not documented. Filters
that are sent select at least the rows that pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from google.cloud.firestore_v1.field_path import FieldPath

from signalbox.adapters.firestore.message import (
    CursorPb,
    Message,
    StructuredQueryPb,
    ValuePb,
    field_name,
    set_value,
)
from signalbox.adapters.row_query import (
    ORDER_BYTES,
    OrderKey,
    ValueClass,
    class_of,
    order_key,
)
from signalbox.adapters.table_driver import NotIndexed, Scan, Way
from signalbox.commands.tabular_store import Filter, QueryRows, Row
from signalbox.commands.value import MAX_INT, MIN_INT, Value

_INDEXED_BYTES: Final = 1000
"""Firestore cuts off what it indexes at 1,500 bytes."""
_EXACT: Final = 2**53
"""From here on, two integers can be the same float."""
_FieldFilter: Final = StructuredQueryPb.FieldFilter
_EXEMPTED: Final = "Its index in Firestore is exempted, or still being built: have it built."


@dataclass(frozen=True)
class Plan:
    """A query of Firestore."""

    equal: tuple[Message, ...] = ()
    """Filters for equality."""
    column: str | None = None
    """Column by whose index the rows are read; None: by key."""
    bounds: tuple[Message, ...] = ()
    """Filters on that column."""

    def where(self, *, bounded: bool) -> Message | None:
        """Return all filters as one, with or without the bounds."""
        filters = [*self.equal, *(self.bounds if bounded else ())]
        if len(filters) < 2:
            return filters[0] if filters else None
        every = StructuredQueryPb.Filter()
        every.composite_filter.op = StructuredQueryPb.CompositeFilter.AND
        every.composite_filter.filters.extend(filters)
        return every


def ways_of(query: QueryRows) -> Iterator[Way]:
    """Return the ways to walk the rows, best first.

    With an equality and an index of its column, only matching rows are read. With a range, only
    the rows of the page are read, if they are ordered by its column.
    """
    served = [test for test in query.filters if test.op == "eq" and is_indexable(test.value)]
    equal = tuple(map(_equality, served))
    column = query.order_by
    if column is None or any(test.column == column for test in served):
        # Rows of one value are ordered by key.
        plan = Plan(equal)
        bounded = bool(equal) or not query.filters
    else:
        own = [test for test in query.filters if test.column == column]
        plan = Plan(equal, column, tuple(bound for test in own for bound in _bounds(test)))
        bounded = bool(plan.equal or plan.bounds)
    yield Way(scans=None if bounded else _scan(query), plan=plan)
    if equal:
        # An index of the column alone is there by itself; one of both has to be made.
        yield Way(ordered=False, plan=Plan(equal))
    missing = query.filters[0].column if query.filters else column or "key"
    yield Way(ordered=False, scans=Scan.of(query, missing, _EXEMPTED), plan=Plan())


def is_indexable(value: Value) -> bool:
    """Return whether Firestore's index finds all rows with this value."""
    if isinstance(value, str):
        return len(value.encode()) <= _INDEXED_BYTES
    if isinstance(value, bytes):
        return len(value) <= _INDEXED_BYTES
    return class_of(value) is not ValueClass.NESTED


def column_path(column: str) -> str:
    """Return the path of the column's field in a query."""
    return str(FieldPath("data", field_name(column)).to_api_repr())


def start_of(
    query: QueryRows, plan: Plan, position: OrderKey | None, document: str
) -> Message | None:
    """Return where a walk by a column's index begins that continues after a position.

    The position's row is in `document`. Where Firestore's order may differ, it is a little before.
    """
    # Filters on the column keep to its values that have an order.
    behind_all = _end() if query.descending and not plan.bounds else None
    if position is None:
        return behind_all
    start = CursorPb(before=False)
    value = _value_at(position)
    if _run_of(position) is None:
        set_value(start.values.add(), value)
        start.values.add(reference_value=document)
        return start
    start.before = True
    low, high = _low(value), _high(value)
    if not query.descending:
        set_value(start.values.add(), low)
    elif high is None:
        return behind_all
    else:
        set_value(start.values.add(), high)
    return start


def end_of(query: QueryRows, plan: Plan) -> Message | None:
    """Return where such a walk ends: before lists and objects, which have no order."""
    return None if query.descending or plan.bounds else _end()


def in_order(query: QueryRows, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows from the index of the ordering column in the query's order.

    Where the index may order rows otherwise, a run of them is collected and sorted first. Raises
    NotIndexed if the rows arrive in another order.
    """
    run: list[tuple[OrderKey, Row]] = []
    before: OrderKey | None = None
    for row in chain(rows, [None]):
        position = order_key(query, row) if row is not None else None
        held = _run_of(position) if position is not None else None
        if run and held != _run_of(run[0][0]):
            run.sort(reverse=query.descending, key=lambda entry: entry[0])
            yield from (each for _, each in run)
            before = run[-1][0]
            run = []
        if row is None or position is None:
            return
        if before is not None and (position >= before if query.descending else position <= before):
            raise NotIndexed
        if held is not None:
            run.append((position, row))
        else:
            before = position
            yield row


def _scan(query: QueryRows) -> Scan:
    column = query.filters[0].column if query.filters else query.order_by or ""
    if not query.filters:
        step = f"Filter on it as well, as {column}>=0: Firestore's index holds no row without it."
    elif class_of(query.filters[0].value) is ValueClass.NESTED:
        step = "Firestore indexes no list or object: filter on another column as well."
    elif query.filters[0].op == "eq":
        step = f"Firestore indexes {_INDEXED_BYTES} bytes: filter on another column as well."
    else:
        step = f"Order by {column!r}: its index in Firestore serves a range in its own order."
    return Scan.of(query, column, step)


def _equality(test: Filter) -> Message:
    where = StructuredQueryPb.Filter()
    path = column_path(test.column)
    if test.value is None:
        where.unary_filter.op = StructuredQueryPb.UnaryFilter.IS_NULL
        where.unary_filter.field.field_path = path
        return where
    where.field_filter.field.field_path = path
    alike = _alike(test.value)
    if len(alike) == 1:
        where.field_filter.op = _FieldFilter.EQUAL
        set_value(where.field_filter.value, alike[0])
    else:
        where.field_filter.op = _FieldFilter.IN
        for value in alike:
            set_value(where.field_filter.value.array_value.values.add(), value)
    return where


def _alike(value: Value) -> list[Value]:
    """Return values that equal this one, and that Firestore may distinguish."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return [value]
    if value == 0:
        # Firestore tells -0.0 from 0.
        return [0, -0.0]
    if abs(value) < _EXACT:
        return [value]
    if isinstance(value, float):
        return [value, int(value)] if MIN_INT <= value <= MAX_INT else [value]
    return [value, float(value)] if int(float(value)) == value else [value]


def _bounds(test: Filter) -> list[Message]:
    """Return filters that select one continuous part of the column's index, with all that pass."""
    if class_of(test.value) is ValueClass.NESTED:
        return []
    low, high = _low(test.value), _high(test.value)
    bounds = []
    # Where the bound is the value itself, the rows that equal it need not be read.
    if test.op in ("gt", "ge", "eq"):
        strict = test.op == "gt" and low == test.value
        bounds.append(
            _bound(test.column, "GREATER_THAN" if strict else "GREATER_THAN_OR_EQUAL", low)
        )
    if test.op in ("lt", "le", "eq") and high is not None:
        strict = test.op == "lt" and high == test.value
        bounds.append(_bound(test.column, "LESS_THAN" if strict else "LESS_THAN_OR_EQUAL", high))
    if not bounds:
        # A range keeps to its class.
        bounds.append(_bound(test.column, "GREATER_THAN_OR_EQUAL", type(test.value)()))
    return bounds


def _bound(column: str, op: str, value: Value) -> Message:
    where = StructuredQueryPb.Filter()
    where.field_filter.field.field_path = column_path(column)
    where.field_filter.op = getattr(_FieldFilter, op)
    set_value(where.field_filter.value, value)
    return where


def _low(value: Value) -> Value:
    """Return the value, or the greatest one before it whose order in an index is certain."""
    if isinstance(value, bool | datetime) or value is None:
        return value
    if isinstance(value, str):
        return value.encode()[:_INDEXED_BYTES].decode(errors="ignore")
    if isinstance(value, bytes):
        return value[:_INDEXED_BYTES]
    if value == 0:
        return -0.0
    return value if abs(value) < _EXACT else math.nextafter(float(value), -math.inf)


def _high(value: Value) -> Value:
    """Return the value, or the least one after it whose order is certain; None if there is none."""
    if isinstance(value, bool | datetime) or value is None:
        return value
    if isinstance(value, str):
        cut = value.encode()[:_INDEXED_BYTES].decode(errors="ignore")
        return value if cut == value else _behind(cut)
    if isinstance(value, bytes):
        if len(value) <= _INDEXED_BYTES:
            return value
        head = value[:_INDEXED_BYTES].rstrip(b"\xff")
        return head[:-1] + bytes([head[-1] + 1]) if head else None
    if value == 0:
        return 0.0
    return value if abs(value) < _EXACT else math.nextafter(float(value), math.inf)


def _behind(text: str) -> str | None:
    """Return the least string after all strings that begin with this one; None if there is none."""
    head = text.rstrip("\U0010ffff")
    if not head:
        return None
    code = ord(head[-1]) + 1
    # What would be half of a surrogate pair is no character.
    return head[:-1] + chr(0xE000 if code == 0xD800 else code)


def _run_of(position: OrderKey) -> Any:
    """Return a value that is equal for rows which Firestore may order otherwise; None: none."""
    kind, value, _ = position
    if kind == ValueClass.NUMBER and abs(value) >= _EXACT:
        return float(value)
    if kind in (ValueClass.STRING, ValueClass.BYTES) and len(value) >= ORDER_BYTES:
        return (kind, value)
    return None


def _value_at(position: OrderKey) -> Value:
    """Return the value of a position, or of one before it in the same run."""
    kind, value, _ = position
    if kind == ValueClass.NULL:
        return None
    return value.decode(errors="ignore") if kind == ValueClass.STRING else value


def _end() -> Message:
    """Return a cursor after all values that have an order: the empty list, which is not stored."""
    end = CursorPb(before=True)
    empty = ValuePb()
    empty.array_value.SetInParent()
    end.values.append(empty)
    return end
