"""Queries that SQLite helps with: the same answers as a look at every row, for less."""

from __future__ import annotations

import math
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from signalbox.adapters.row_query import order_key, passes
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.tabular_store import Filter, QueryRows, Row, UpsertRow
from signalbox.testing.typed_values import exact
from tests.unit.filesystem.object_files import call_of, instructions
from tests.unit.filesystem.table_files import HERE, delete, items, open_store, row, rows
from tests.unit.test_row_query import queries, tables


@settings(deadline=None, max_examples=60)
@given(tables, queries())
def test_a_query_finds_what_a_look_at_every_row_finds(
    stored: dict[str, Any], fields: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as directory, closing(open_store(Path(directory))) as table:
        table.upsert_many(items(*[row(key, **data) for key, data in stored.items()]))
        delete(table, "gone")
        query = QueryRows(**HERE, table_name="t", **fields)
        expected = [
            found
            for key, data in stored.items()
            if passes(query, found := Row(key=key, data=data, revision=1))
        ]
        expected.sort(key=lambda found: order_key(query, found), reverse=query.descending)
        assert [(found.key, exact(found.data)) for found in rows(table, **fields)] == [
            (found.key, exact(found.data)) for found in expected
        ]


@pytest.mark.parametrize(
    "value",
    [0.1 + 0.2, 5e-324, -5e-324, 2.5e-310, 1.7976931348623157e308, 2**63 - 1, -(2**63), 2**53 + 1],
)
@pytest.mark.parametrize("op", ["eq", "lt", "le", "gt", "ge"])
def test_numbers_are_compared_to_their_last_digit(
    table: TabularStore, value: float, op: Any
) -> None:
    near = [value, -value, 0, float(value)]
    if isinstance(value, int):
        near += [value - 1 if value > 0 else value + 1]
    else:
        near += [math.nextafter(value, 0), math.nextafter(value, 1e308)]
    near = [each for each in near if isinstance(each, float) or abs(each + 0.5) < 2**63]
    table.upsert_many(items(*[row(f"{n}", n=each) for n, each in enumerate(near)]))
    test = Filter(column="n", op=op, value=value)
    query = QueryRows(**HERE, table_name="t", filters=[test])
    expected = [
        f"{n}"
        for n, each in enumerate(near)
        if passes(query, Row(key=f"{n}", data={"n": each}, revision=1))
    ]
    assert [found.key for found in rows(table, filters=[test])] == expected


@pytest.mark.parametrize("column", ['"', "\\", 'a"."b', "a.b", "[0]", "#-1", "'", "*", "ä "])
def test_a_column_may_have_any_name(table: TabularStore, column: str) -> None:
    named = UpsertRow(**HERE, table_name="t", key="1", data={column: "x"})
    table.upsert_many(items(named, row("2", a={"b": "x"}), row("3")))
    test = Filter(column=column, value="x")
    assert [found.key for found in rows(table, filters=[test])] == ["1"]
    found = [row.key for row in rows(table, order_by=column)]
    assert found == ["1", "2", "3"]


def test_a_page_by_key_costs_its_rows(table: TabularStore, own: Path) -> None:
    for part in range(20):
        table.upsert_many(items(*[row(f"{part:02}-{n:03}", n=n) for n in range(500)]))
    with instructions(own / "tables.db") as counted:
        for descending in (False, True):
            fields = {"descending": descending, "limit": 5}
            command = QueryRows(**HERE, table_name="t", **fields)
            for _ in range(100):
                page = table.query(command, call_of(command))
                assert len(page.rows) == 5
                command = command.model_copy(update={"cursor": page.next_cursor})
        assert 0 < counted() < 200 * 1_000, "it looks at each of the 10,000"
