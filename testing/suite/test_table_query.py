"""Queries of rows: which rows pass the filters, and in which order."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox.adapters.row_query import ORDER_BYTES
from signalbox.commands.error import InvalidCommand
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import TableCaller
from signalbox.testing.typed_values import exact

KIND = ResourceKind.TABULAR_STORE

DAY = datetime(2026, 1, 31, tzinfo=UTC)
MIXED: dict[str, Any] = {
    "null": None,
    "bool 0": False,
    "bool 1": True,
    "number 0": -(2**63),
    "number 1": -1.5,
    "number 2": 0,
    "number 3": 1,
    "number 4": 2**53,
    "number 5": 2**53 + 1,
    "number 6": 2**63 - 1,
    "number 7": 1e300,
    "stamp 0": DAY,
    "stamp 1": DAY + timedelta(microseconds=1),
    "string 0": "",
    "string 1": "1",
    "string 2": "B",
    "string 3": "a",
    "string 4": "\uffff",
    "string 5": "😀",
    "xbytes 0": b"",
    "xbytes 1": b"a",
    "xbytes 2": b"\xff",
    "ylist": [1],
    "yobject": {"a": 1},
}
"""Each key names its value's class; the rows are in the total order of the values."""
ORDERED = [name for name in MIXED if not name.startswith("y")]
UNRANKED = ["without", "ylist", "yobject"]
"""Rows of `mixed` without a value that has an order, by key."""
OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


@pytest.fixture
def mixed(table: TableCaller) -> TableCaller:
    table.fill(
        {key: {"a": value, "even": n % 2 == 0} for n, (key, value) in enumerate(MIXED.items())}
    )
    table.fill({"without": {"b": 1}})
    return table


def class_of(name: str) -> str:
    return name.partition(" ")[0]


def test_rows_come_by_key_in_utf8_order(table: TableCaller) -> None:
    keys = [
        "\U0010ffff",
        "😀",
        "\uffff",
        "\ue000",
        "é",
        "e\u0301",
        "z",
        "a/b",
        "a",
        "a b",
        "B",
        "~",
    ]
    table.fill({key: {} for key in keys})
    expected = sorted(keys, key=str.encode)
    assert table.keys() == expected
    assert table.keys(limit=2) == expected
    assert table.keys(descending=True, limit=5) == expected[::-1]


@pytest.mark.parametrize("kind", dict.fromkeys(class_of(name) for name in ORDERED))
def test_a_filter_compares_within_the_class_of_its_value(mixed: TableCaller, kind: str) -> None:
    alike = [key for key in MIXED if class_of(key) == kind]
    for place, name in enumerate(alike):
        for op, holds in OPERATORS.items():
            if op == "eq" or kind != "null":
                expected = [key for n, key in enumerate(alike) if holds(n, place)]
                assert mixed.keys(("a", op, MIXED[name])) == expected, (name, op)


def test_ints_and_floats_of_one_value_are_equal(table: TableCaller) -> None:
    table.fill({"int": {"a": 1}, "float": {"a": 1.0}, "bool": {"a": True}, "minus": {"a": -0.0}})
    assert table.keys(("a", "eq", 1)) == table.keys(("a", "eq", 1.0)) == ["float", "int"]
    assert table.keys(("a", "eq", True)) == ["bool"]
    assert table.keys(("a", "ge", 0)) == ["float", "int", "minus"]
    assert exact([row.data["a"] for row in table.rows(order_by="a")])[1:] == exact([-0.0, 1.0, 1])


def test_lists_and_objects_are_equal_or_not(table: TableCaller) -> None:
    nested: dict[str, Any] = {
        "ints": [1, 2],
        "floats": [1.0, 2.0],
        "bools": [True, 2],
        "order": [2, 1],
        "object": {"a": {"b": 1, "c": None}},
        "other": {"a": {"b": 1}},
        "empty list": [],
        "empty object": {},
    }
    table.fill({key: {"a": value} for key, value in nested.items()})
    assert table.keys(("a", "eq", [1, 2])) == ["floats", "ints"]
    assert table.keys(("a", "eq", {"a": {"c": None, "b": 1}})) == ["object"]
    assert table.keys(("a", "eq", [])) == ["empty list"]
    assert table.keys(("a", "eq", {})) == ["empty object"]


@pytest.mark.parametrize("value", [None, [1], {"a": 1}], ids=str)
def test_what_has_no_order_is_not_compared_by_it(mixed: TableCaller, value: Any) -> None:
    with pytest.raises(InvalidCommand) as refused:
        mixed.page(("a", "lt", value))
    assert refused.value.next_step


def test_all_filters_must_hold(mixed: TableCaller) -> None:
    ranged = [("a", "ge", 0), ("a", "lt", 2**53 + 1), ("even", "eq", True)]
    every = [("a", "ge", 0), ("a", "lt", 2**53 + 1)]
    both = mixed.keys(*every)
    assert both == ["number 2", "number 3", "number 4"]
    assert mixed.keys(*ranged) == [key for key in both if list(MIXED).index(key) % 2 == 0]
    assert mixed.keys(("a", "eq", 1), ("a", "eq", 0)) == []
    assert mixed.keys(("missing", "eq", 1)) == []
    assert mixed.keys(*[("b", "eq", 1)] * 10) == ["without"]


@pytest.mark.parametrize(("descending", "limit"), [(False, 1), (True, 5), (True, 100)])
def test_mixed_classes_have_one_order(mixed: TableCaller, descending: bool, limit: int) -> None:
    keys = mixed.keys(order_by="a", descending=descending, limit=limit)
    assert keys == [*ORDERED[::-1], *UNRANKED[::-1]] if descending else [*ORDERED, *UNRANKED]


@pytest.mark.parametrize("descending", [False, True])
def test_rows_that_lack_the_column_come_last(table: TableCaller, descending: bool) -> None:
    table.fill({"b": {"n": 2}, "a": {}, "d": {"n": 1}, "\uffff": {"m": 3}, "😀": {"m": 1}})
    expected = ["b", "d", "😀", "\uffff", "a"] if descending else ["d", "b", "a", "\uffff", "😀"]
    for limit in (1, 2, 3, 100):
        assert table.keys(order_by="n", descending=descending, limit=limit) == expected, limit
    of_many = [key for key in expected if key in ("\uffff", "😀")]
    for limit in (1, 100):
        found = table.keys(("m", "ge", 1), order_by="n", descending=descending, limit=limit)
        assert found == of_many, limit
    assert table.keys(order_by="missing") == ["a", "b", "d", "\uffff", "😀"]


@pytest.mark.parametrize("descending", [False, True])
def test_a_filter_on_the_column_of_the_order_leaves_out_what_lacks_it(
    mixed: TableCaller, descending: bool
) -> None:
    found = mixed.keys(("a", "ge", 0), order_by="a", descending=descending, limit=2)
    expected = [f"number {n}" for n in range(2, 8)]
    assert found == (expected[::-1] if descending else expected)


@pytest.mark.parametrize("descending", [False, True])
def test_ties_are_ordered_by_key(table: TableCaller, descending: bool) -> None:
    ages = {"d": 1, "a": 2, "\uffff": 1, "😀": 1, "c": 2.0, "b": 1.0, "e": 0}
    table.fill({key: {"age": age} for key, age in ages.items()})
    expected = ["e", "b", "d", "\uffff", "😀", "a", "c"]
    for limit in (1, 2, 3, 100):
        keys = table.keys(order_by="age", descending=descending, limit=limit)
        assert keys == (expected[::-1] if descending else expected), limit


def test_long_strings_are_ordered_by_how_they_begin(table: TableCaller) -> None:
    same = "é" * (ORDER_BYTES // 2)
    table.fill({"a": {"s": f"{same}2"}, "b": {"s": f"{same}1"}, "c": {"s": same[:-1]}})
    for limit in (1, 100):
        assert table.keys(order_by="s", limit=limit) == ["c", "a", "b"]


def test_a_filter_and_an_order_go_together(mixed: TableCaller) -> None:
    keys = mixed.keys(("even", "eq", True), order_by="a", descending=True, limit=3)
    even = [key for n, key in enumerate(MIXED) if n % 2 == 0]
    ranked = [key for key in even if key in ORDERED]
    assert keys == ranked[::-1] + [key for key in even if key in UNRANKED][::-1]


def test_a_row_of_an_answer_is_the_row(table: TableCaller) -> None:
    revision = table.upsert("ann", {"age": 36, "tags": ["a", b"b"]})
    (row,) = table.rows(("age", "gt", 30), order_by="age")
    assert row == table.get("ann")
    assert row.revision == revision


def test_tables_do_not_mix(table: TableCaller) -> None:
    tables = ["a", "aa", "a/b", "a/a", "b", "A", "a ", "a%2Fb"]
    for name in tables:
        table.fill({key: {"of": name} for key in ("a", "b", "b/a")}, table=name)
    for name in tables:
        rows = table.rows(table=name, limit=2)
        assert [(row.key, row.data["of"]) for row in rows] == [
            ("a", name),
            ("b", name),
            ("b/a", name),
        ]
        assert table.keys(("of", "eq", name), table=name, order_by="of") == ["a", "b", "b/a"]
