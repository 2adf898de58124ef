"""Pages of a query: put together they are the whole answer, whatever is in the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.cursor import make_cursor
from signalbox.adapters.data_text import data_text
from signalbox.adapters.dynamodb.item import to_json
from signalbox.adapters.row_query import (
    ORDER_BYTES,
    PAGE_BYTES,
    ValueClass,
    check_query,
    class_of,
    needed_texts,
    order_key,
    page_of,
    page_of_unordered,
    passes,
    same,
)
from signalbox.commands.error import InvalidCommand
from signalbox.commands.tabular_store import Filter, QueryResult, QueryRows, Row
from signalbox.testing.typed_values import exact, names, scalars, values

Pager = Callable[[QueryRows], QueryResult]

columns = st.sampled_from(["a", "b"])
tables = st.dictionaries(names, st.dictionaries(columns, values, max_size=2), max_size=12)


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a query that can be asked."""
    filters = []
    for _ in range(draw(st.integers(0, 2))):
        value = draw(values)
        ordered = class_of(value) not in (ValueClass.NULL, ValueClass.NESTED)
        op = draw(st.sampled_from(["eq", "lt", "le", "gt", "ge"] if ordered else ["eq"]))
        filters.append(Filter(column=draw(columns), op=op, value=value))
    return {
        "filters": filters,
        "order_by": draw(st.none() | columns),
        "descending": draw(st.booleans()),
        "limit": draw(st.integers(1, 5)),
    }


def ask(**fields: Any) -> QueryRows:
    return QueryRows(tenant_id="t_a", env="dev", table_name="t", **fields)


def walk(pager: Pager, **fields: Any) -> Iterator[Row]:
    """The rows of all pages; none is over the limit, and none but the only one empty."""
    cursor: str | None = None
    while True:
        page = pager(ask(cursor=cursor, **fields))
        assert len(page.rows) <= fields.get("limit", 100)
        assert page.rows or (cursor is None and page.next_cursor is None)
        yield from page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


@given(tables, queries())
def test_the_pages_are_the_whole_answer(table: dict[str, Any], fields: dict[str, Any]) -> None:
    rows = [Row(key=key, data=data, revision=1) for key, data in table.items()]
    query = ask(**fields)
    answer = [row for row in rows if passes(query, row)]
    answer.sort(key=lambda row: order_key(query, row), reverse=query.descending)
    ordered = list(rows)
    ordered.sort(key=lambda row: order_key(query, row), reverse=query.descending)
    expected = [row.key for row in answer]
    assert [row.key for row in walk(lambda q: page_of(q, ordered), **fields)] == expected
    assert [row.key for row in walk(lambda q: page_of_unordered(q, rows), **fields)] == expected


@given(st.lists(scalars, max_size=8))
def test_a_column_orders_by_class_and_within_it(column: list[Any]) -> None:
    rows = [Row(key=f"{n}", data={"a": value}, revision=1) for n, value in enumerate(column)]
    rows.append(Row(key="x", data={}, revision=1))
    *others, last = walk(lambda q: page_of_unordered(q, rows), order_by="a")
    assert last.key == "x"
    got = [row.data["a"] for row in others]
    assert [class_of(value) for value in got] == sorted(class_of(value) for value in column)
    for kind in (ValueClass.NUMBER, ValueClass.TIMESTAMP, ValueClass.BYTES):
        of_kind = [value for value in got if class_of(value) is kind]
        assert of_kind == sorted(of_kind)
    texts = [value.encode() for value in got if isinstance(value, str)]
    assert texts == sorted(texts)


def test_long_strings_are_ordered_by_their_beginning_and_make_short_cursors() -> None:
    long = "𝄞" * 20_000
    rows = [Row(key=key, data={"a": long + tail}, revision=1) for key, tail in ("az", "by", "cx")]
    page = page_of_unordered(ask(order_by="a", limit=1), rows)
    assert page.next_cursor is not None
    assert len(page.next_cursor) < 4 * ORDER_BYTES
    fields = {"order_by": "a", "limit": 1}
    assert [row.key for row in walk(lambda q: page_of_unordered(q, rows), **fields)] == [*"abc"]


def test_a_page_reads_one_row_more_than_it_gives() -> None:
    read: list[str] = []

    def rows() -> Iterator[Row]:
        for number in range(100):
            read.append(f"{number:03}")
            yield Row(key=read[-1], data={}, revision=1)

    assert len(page_of(ask(limit=7), rows()).rows) == 7
    assert len(read) == 8


def test_a_page_ends_with_the_row_that_fills_it() -> None:
    row = {"a": "x" * (PAGE_BYTES // 2)}
    rows = [Row(key=key, data=row, revision=1) for key in "abcde"]
    page = page_of(ask(), rows)
    assert [row.key for row in page.rows] == ["a", "b"]
    assert [row.key for row in walk(lambda q: page_of(q, rows))] == [*"abcde"]


@given(values, values)
def test_same_is_equality_of_typed_values(one: Any, other: Any) -> None:
    assert same(one, one)
    assert same(one, other) == same(other, one)
    if exact(one) == exact(other):
        assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [(1, 1.0, True), (True, 1, False), ([True], [1], False), ({"a": 0}, {"a": 0.0}, True),
     ({"a": 1}, {"b": 1}, False), ("a", b"a", False), (2**53 + 1, 2.0**53, False)],
)  # fmt: skip
def test_numbers_are_equal_whatever_their_type_and_nothing_else_is(
    one: Any, other: Any, equal: bool
) -> None:
    assert same(one, other) is equal


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_an_order_of_what_has_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidCommand):
        check_query(ask(filters=[Filter(column="a", op="lt", value=value)]))
    check_query(ask(filters=[Filter(column="a", value=value)]))


@pytest.mark.parametrize(
    "position",
    [
        None,
        7,
        [],
        [4, "x"],
        [4, "x", "k"],
        [4, {"$bytes": "eA=="}, 7],
        [4, {"$bytes": "eA=="}, "\ud800"],
        [4, {"$bytes": "?"}, "k"],
        [9, 1, "k"],
        ["4", 1, "k"],
        [[], 1, "k"],
        [2, True, "k"],
        [2, float("nan"), "k"],
        [2, 10**30, "k"],
        [6, [1], "k"],
        [6, 1, "k"],
        [-1, 0, "k"],
        [0, None, "k"],
    ],
    ids=repr,
)
def test_a_forged_position_is_refused(position: Any) -> None:
    query = ask(order_by="a")
    forged = query.model_copy(update={"cursor": make_cursor(query, position)})
    with pytest.raises(InvalidCommand):
        page_of(forged, [])


@given(st.dictionaries(names, values, max_size=4), queries(), st.data())
def test_a_row_that_passes_holds_the_texts_that_a_service_may_look_for(
    row: dict[str, Any], fields: dict[str, Any], data: st.DataObject
) -> None:
    if row:
        # What is asked is often true of the row.
        column = data.draw(st.sampled_from(sorted(row)))
        fields["filters"].append(Filter(column=column, value=row[column]))
    query = ask(**fields)
    if passes(query, Row(key="k", data=row, revision=1)):
        for spell in (data_text, to_json):
            assert all(text in spell(row) for text in needed_texts(query, spell))


def test_a_service_may_leave_out_what_surely_does_not_pass() -> None:
    filters = [Filter(column="a", value="x"), Filter(column="b", op="gt", value=3)]
    assert needed_texts(ask(filters=filters, order_by="c"), data_text) == ['"a":"x"', '"b":']
