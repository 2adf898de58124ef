"""Pages of a query of rows: together they contain every row once; a cursor fits only its query."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import OpenTable, TableCaller

KIND = ResourceKind.TABULAR_STORE


def test_pages_of_any_size_hold_every_row_once(table: TableCaller) -> None:
    keys = [f"k{n}" for n in range(9)]
    table.fill({key: {"n": 9 - n} for n, key in enumerate(keys)})
    for limit in (1, 2, 3, 8, 9, 10):
        pages = list(table.pages(limit=limit))
        assert [row.key for page in pages for row in page.rows] == keys
        assert all(1 <= len(page.rows) <= limit for page in pages)
        assert table.keys(limit=limit, order_by="n") == keys[::-1]


def test_a_last_full_page_has_no_cursor(table: TableCaller) -> None:
    table.fill({f"k{n}": {} for n in range(3)})
    assert table.page(limit=3).next_cursor is None
    assert table.page(limit=2).next_cursor


def test_a_cursor_goes_on_though_its_row_is_deleted_and_others_come(table: TableCaller) -> None:
    table.fill({key: {"n": n} for n, key in enumerate("abcdef")})
    by_key, by_value = table.page(limit=2), table.page(limit=2, order_by="n")
    table.delete("b")
    table.fill({"a1": {"n": 0.5}, "b1": {"n": 1.5}, "g": {"n": 9}})
    assert table.keys()[:3] == ["a", "a1", "b1"]
    rest = table.page(cursor=by_key.next_cursor)
    assert [row.key for row in rest.rows] == ["b1", "c", "d", "e", "f", "g"]
    rest = table.page(order_by="n", cursor=by_value.next_cursor)
    assert [row.key for row in rest.rows] == ["b1", "c", "d", "e", "f", "g"]


def test_a_walk_beside_writers_meets_each_row_once(table: TableCaller) -> None:
    stay = {f"k{n:02}": {"n": n} for n in range(0, 40, 2)}
    table.fill(stay)

    def write() -> None:
        for n in range(1, 40, 2):
            table.upsert(f"k{n:02}", {"n": n})

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        while True:
            done = writing.done()
            for order_by in (None, "n"):
                keys = table.keys(limit=7, order_by=order_by)
                assert keys == sorted(set(keys))
                assert set(stay) <= set(keys)
            if done:
                break
        writing.result()
    assert len(keys) == 40


def test_large_rows_make_a_page_shorter(table: TableCaller) -> None:
    table.fill({f"k{n}": {"n": n, "x": "x" * 250_000} for n in range(8)})
    for order_by in (None, "n"):
        assert 1 <= len(table.page(order_by=order_by).rows) <= 6
        assert table.keys(order_by=order_by) == [f"k{n}" for n in range(8)]


def test_a_table_that_became_empty_has_no_rows(table: TableCaller) -> None:
    table.fill({key: {"n": 1} for key in "abc"})
    for key in "abc":
        table.delete(key)
    assert (table.rows(), table.rows(order_by="n"), table.rows(("n", "eq", 1))) == ([], [], [])


def test_deleted_rows_leave_no_holes_in_pages(table: TableCaller) -> None:
    table.fill({f"k{n:02}": {"n": 1} for n in range(30)})
    for n in range(20):
        table.delete(f"k{n:02}")
    page = table.page(limit=4)
    assert [row.key for row in page.rows] == ["k20", "k21", "k22", "k23"]
    assert table.keys(limit=4, order_by="n") == [f"k{n}" for n in range(20, 30)]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ünicode",
        "../../../etc",
        "AAAA",
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        base64.urlsafe_b64encode(json.dumps(["x", [0, 0, "a"]]).encode()).decode(),
    ],
    ids=lambda cursor: cursor[:12] or "empty",
)
def test_a_forged_cursor_is_refused(table: TableCaller, cursor: str) -> None:
    table.fill({key: {"n": 1} for key in "abc"})
    for order_by in (None, "n"):
        with pytest.raises(InvalidCommand) as refused:
            table.page(cursor=cursor, order_by=order_by)
        assert refused.value.next_step


@pytest.mark.parametrize(
    "position",
    [
        *(None, 0, "a", [], [0, 0], [0, 0, None], [0, 0, "a", 1], [99, 0, "a"], [6, [1], "a"]),
        *([4, 1, "a"], [2, "a", "a"], [[0], 0, "a"], {"a": 1}, [4, {"$bytes": "%"}, "a"]),
    ],
    ids=str,
)
def test_a_cursor_with_another_position_reaches_nothing_more(
    table: TableCaller, position: Any
) -> None:
    table.fill({key: {"n": "s"} for key in "abc"})
    cursor = table.page(order_by="n", limit=1).next_cursor
    assert cursor is not None
    binding, _ = json.loads(base64.urlsafe_b64decode(cursor))
    forged = base64.urlsafe_b64encode(json.dumps([binding, position]).encode()).decode()
    with pytest.raises(InvalidCommand):
        table.page(order_by="n", cursor=forged)


@pytest.mark.parametrize(
    "other",
    [
        {"table": "pets"},
        {"order_by": None},
        {"order_by": "m"},
        {"descending": True},
        {"where": [("n", "eq", 2)]},
        {"where": [("n", "ge", 1)]},
        {"where": []},
    ],
    ids=str,
)
def test_a_cursor_of_another_query_is_refused(table: TableCaller, other: dict[str, Any]) -> None:
    table.fill({key: {"n": 1} for key in "abc"})
    query: dict[str, Any] = {"order_by": "n", "where": [("n", "eq", 1)]}
    where = query["where"]
    cursor = table.page(*where, order_by="n", limit=1).next_cursor
    assert len(table.page(*where, order_by="n", cursor=cursor).rows) == 2
    changed = query | other
    with pytest.raises(InvalidCommand):
        table.page(*changed.pop("where"), cursor=cursor, **changed)


@pytest.mark.parametrize("order_by", [None, "n"])
def test_a_cursor_of_a_neighbour_is_refused(
    open_table: OpenTable, tenant: str, order_by: str | None
) -> None:
    mine = open_table()
    mine.fill({key: {"n": 1} for key in "abc"})
    cursor = mine.page(limit=1, order_by=order_by).next_cursor
    for other in ((f"{tenant}b", "dev"), (tenant, "prod")):
        with pytest.raises(InvalidCommand):
            open_table(*other).page(cursor=cursor, order_by=order_by)
