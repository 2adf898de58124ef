"""Queries of rows without an index: refused unless a scan is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.commands.error import ScanRefused
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import TableCaller, Test

KIND = ResourceKind.TABULAR_STORE

ROWS: dict[str, dict[str, Any]] = {
    "a": {"age": 3, "of": "x"},
    "b": {"age": 1, "of": "y"},
    "c": {"of": "x"},
    "d": {"age": 2, "of": [1]},
}
QUERIES: list[tuple[list[Test], str | None]] = [
    ([("of", "eq", "x")], None),
    ([("of", "eq", [1])], None),
    ([("age", "ge", 2)], None),
    ([], "age"),
    ([("age", "ge", 2)], "age"),
    ([("age", "ge", 2)], "of"),
    ([("of", "eq", "x")], "age"),
    ([("age", "lt", 3), ("of", "eq", "y")], "missing"),
]


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_by_key_is_no_scan(table: TableCaller, descending: bool) -> None:
    table.fill(ROWS)
    keys = table.keys(descending=descending, limit=3, allow_scan=False)
    assert keys == (sorted(ROWS, reverse=True) if descending else sorted(ROWS))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("where", "order_by"), QUERIES, ids=str)
def test_a_query_has_its_answer_or_says_that_it_scans(
    table: TableCaller, where: list[Test], order_by: str | None, descending: bool
) -> None:
    table.fill(ROWS)
    fields: dict[str, Any] = {"order_by": order_by, "descending": descending, "limit": 1}
    expected = table.keys(*where, **fields)
    try:
        assert table.keys(*where, allow_scan=False, **fields) == expected
    except ScanRefused as refused:
        detail = refused.detail()
        assert {"tenant_id": detail.tenant_id, "env": detail.env} == table.scope_fields
        assert detail.kind == KIND
        assert detail.backend_type is not None
        columns = [column for column, *_ in where] or [order_by or ""]
        assert any(repr(column) in detail.message for column in columns)
        assert "'people'" in detail.message
        assert detail.next_step is not None
        assert "allow_scan" in detail.next_step


def test_a_walk_may_allow_what_its_first_page_did_not_need(table: TableCaller) -> None:
    table.fill(ROWS)
    first = table.page(limit=2, allow_scan=False)
    rest = table.page(limit=2, allow_scan=True, cursor=first.next_cursor)
    assert [row.key for row in rest.rows] == ["c", "d"]
