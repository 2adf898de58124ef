"""What Firestore is asked lets through every row that passes, wherever its order may be another."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.firestore.message import get_value
from signalbox.adapters.firestore.row_plan import Plan, start_of, ways_of
from signalbox.adapters.row_query import class_of, order_key, passes
from signalbox.commands.tabular_store import Filter, QueryRows, Row
from signalbox.testing.typed_values import timestamps

INDEXED = 1500
"""Bytes of a value that Firestore's index holds."""
OPERATORS = {1: operator.lt, 2: operator.le, 3: operator.gt, 4: operator.ge, 5: operator.eq}

long = st.sampled_from(["é", "\U0010ffff", "\ud7ff", "a"]).flatmap(
    lambda letter: st.tuples(
        st.integers(495, 520), st.sampled_from(["", letter, "\0", "zz", letter * 1500])
    ).map(lambda parts: letter * parts[0] + parts[1])
)
large = st.integers(2**53 - 3, 2**53 + 3) | st.integers(2**63 - 3, 2**63 - 1)
numbers = (
    st.one_of(large, large.map(operator.neg), large.map(float), st.sampled_from([0, -0.0, 0.0]))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-10, 10)
)
texts = st.text(max_size=3) | long
pairs = st.one_of(
    *(
        st.tuples(of_class, of_class)
        for of_class in (
            numbers,
            texts,
            st.binary(max_size=3) | long.map(str.encode) | st.just(b"\xff" * 2000),
            st.booleans(),
            timestamps,
        )
    )
)
"""Two values of one class."""


def indexed(value: Any) -> Any:
    """The value as the index holds it, within its class."""
    if isinstance(value, str | bytes):
        return (value.encode() if isinstance(value, str) else value)[:INDEXED]
    return value


def holds(bound: Any, value: Any) -> bool:
    """Whether Firestore lets a value through one filter."""
    test = bound.field_filter
    if test.op == 8:
        return any(
            indexed(value) == indexed(get_value(each)) for each in test.value.array_value.values
        )
    other = get_value(test.value)
    return class_of(other) is class_of(value) and OPERATORS[test.op](indexed(value), indexed(other))


def ask(**fields: Any) -> QueryRows:
    return QueryRows(tenant_id="t_a", env="dev", table_name="t", **fields)


@given(pairs, st.sampled_from(["eq", "lt", "le", "gt", "ge"]), st.sampled_from([None, "a", "b"]))
def test_a_row_that_passes_is_let_through(
    pair: tuple[Any, Any], op: Any, order_by: str | None
) -> None:
    value, other = pair
    query = ask(filters=[Filter(column="a", op=op, value=other)], order_by=order_by)
    if passes(query, Row(key="k", data={"a": value}, revision=1)):
        for way in ways_of(query):
            for bound in (*way.plan.equal, *way.plan.bounds):
                assert holds(bound, value), bound


@given(pairs, st.booleans())
def test_a_walk_begins_before_whatever_stands_behind_its_place(
    pair: tuple[Any, Any], descending: bool
) -> None:
    query = ask(order_by="a", descending=descending)
    last, row = (Row(key="k", data={"a": each}, revision=1) for each in pair)
    position, other = order_key(query, last), order_key(query, row)
    if not (other < position if descending else other > position):
        return
    start = start_of(query, Plan(column="a"), position, "document")
    if start is None or start.values[0].HasField("array_value"):
        return
    first, its = indexed(get_value(start.values[0])), indexed(pair[1])
    assert first >= its if descending else first <= its
    # Only where both orders agree does it begin behind the very document.
    assert start.before or first != its
