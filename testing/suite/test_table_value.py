"""Values of rows: each is returned equal, with its own type and column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import TableCaller
from signalbox.testing.typed_edges import EDGES
from signalbox.testing.typed_values import exact

KIND = ResourceKind.TABULAR_STORE

ODD_COLUMNS = [
    *("a", "a.b", ".", "..", "a..b", " ", " a ", "a b", "`", "a`b", "``", "__name__", "__a__"),
    *("'", '"', "\\", "/", "a/b", "//", "~", "*", "[", "]", "[0]", "a[0]", "{", "(", ":", "#"),
    *("a$", "%", "%s", "?", "@", "!", "&", "=", "<", ";", "--", "0", "1a", "-1", "NULL", "true"),
    *("é", "e\u0301", "日本語", "🚂", "\u200b", "\ufeff", "\uffff", "\U0010ffff"),
    *("key", "data", "seq", "gone", "pk", "sk", "revision", "expires", "x" * 256, "é" * 128),
]


@pytest.mark.parametrize("name", EDGES)
def test_a_value_comes_back_equal_and_in_its_type(table: TableCaller, name: str) -> None:
    data = {"a": EDGES[name], "nested": {"in object": EDGES[name], "in list": [EDGES[name]]}}
    item = table.item("k", data)
    table.store.upsert(*item)
    assert exact(table.data("k")) == exact(item[0].data)
    (row,) = table.rows()
    assert exact(row.data) == exact(item[0].data)


def test_all_values_come_back_from_one_row(table: TableCaller) -> None:
    item = table.item("k", EDGES)
    (answer,) = table.store.upsert_many([item])
    assert getattr(answer, "key", answer) == "k"
    assert exact(table.data("k")) == exact(item[0].data)


def test_a_column_is_a_name_and_nothing_else(table: TableCaller) -> None:
    data: dict[str, Any] = {name: number for number, name in enumerate(ODD_COLUMNS)}
    data["nested"] = dict(data)
    table.upsert("k", data)
    assert table.data("k") == data


def test_any_column_can_be_filtered_and_ordered_by(table: TableCaller) -> None:
    columns = ODD_COLUMNS[:-2]
    rows = {"one": dict.fromkeys(columns, 2), "two": dict.fromkeys(columns, 1)}
    table.fill(rows | {"without": {f"{column}_": 1 for column in columns}})
    for column in columns:
        assert table.keys(order_by=column) == ["two", "one", "without"], column
        assert table.keys((column, "eq", 1)) == ["two"], column


def test_a_column_with_dots_is_no_path(table: TableCaller) -> None:
    table.fill({"flat": {"a.b": 1}, "nested": {"a": {"b": 1}}})
    assert table.keys(("a.b", "eq", 1)) == ["flat"]
    assert table.keys(("a", "eq", {"b": 1})) == ["nested"]
    assert table.keys(order_by="a.b") == ["flat", "nested"]


def test_names_that_look_alike_are_two_columns(table: TableCaller) -> None:
    data = {"é": 1, "e\u0301": 2, "K": 3, "\u212a": 4, "a": 5, "\u0430": 6, "A": 7}
    table.upsert("k", data)
    assert table.data("k") == data
    assert table.keys(("é", "eq", 2)) == []


def test_a_timestamp_comes_back_in_utc(table: TableCaller) -> None:
    table.upsert("k", {"at": datetime.fromisoformat("2026-01-31T01:02:03.000004+05:45")})
    at = table.data("k")["at"]
    assert at == datetime(2026, 1, 30, 19, 17, 3, 4, UTC)
    assert at.utcoffset().total_seconds() == 0


def test_data_may_be_nested_as_deep_as_is_allowed(table: TableCaller) -> None:
    lists: Any = 1
    objects: Any = 1
    for _ in range(15):
        lists, objects = [lists], {"a": objects}
    data = {"lists": lists, "objects": objects}
    table.upsert("k", data)
    assert table.data("k") == data
    with pytest.raises(InvalidCommand):
        table.upsert("k", {"a": [[lists]]})
    assert table.data("k") == data


def test_what_looks_like_a_tag_of_a_backend_is_data(table: TableCaller) -> None:
    data: dict[str, Any] = {
        "dynamodb": {"S": "a", "N": "1", "NULL": True},
        "firestore": {"stringValue": "a", "__type__": "__vector__", "value": [1.0]},
        "ours": {"bytes": "AA==", "timestamp": "2026-01-31T12:00:00Z", "float": 1},
        "text": '{"$bytes": "AA=="}',
    }
    table.upsert("k", data)
    assert table.data("k") == data
