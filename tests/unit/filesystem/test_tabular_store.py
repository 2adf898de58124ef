"""Tables on SQLite: what the conformance suite cannot see."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings

from adapters.filesystem import row_table
from adapters.filesystem.row_table import PRUNED_MOST
from adapters.filesystem.tabular_store import FilesystemTabularStore
from adapters.port import Call
from adapters.row_query import order_key, passes
from commands.error import LeaseExpired, NotFound, SignalboxError
from commands.scope import ResourceKind, Scope
from commands.tabular_store import (
    DeleteRow,
    Filter,
    GetRow,
    QueryRows,
    Row,
    RowCondition,
    UpsertResult,
    UpsertRow,
)
from tests.unit.filesystem.lab import call_of, commits
from tests.unit.test_row_query import queries, tables
from tests.unit.typed_values import exact

HERE = {"tenant_id": "t_a", "env": "dev"}


def open_store(directory: Path) -> FilesystemTabularStore:
    scope = Scope(kind=ResourceKind.TABULAR_STORE, **HERE)
    return FilesystemTabularStore(str(directory / "base"), scope)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FilesystemTabularStore]:
    with closing(open_store(tmp_path)) as store:
        yield store


def row(key: str = "k", condition: RowCondition | None = None, **data: Any) -> UpsertRow:
    condition = condition or RowCondition()
    return UpsertRow(**HERE, table_name="t", key=key, data=data, condition=condition)


def items(*commands: UpsertRow, **fields: Any) -> list[tuple[UpsertRow, Call]]:
    return [(command, call_of(command, **fields)) for command in commands]


def put(store: FilesystemTabularStore, command: UpsertRow, **fields: Any) -> int:
    return store.upsert(command, call_of(command, **fields)).revision


def delete(store: FilesystemTabularStore, key: str = "k", **fields: Any) -> None:
    command = DeleteRow(
        **HERE, table_name="t", key=key, if_revision=fields.pop("if_revision", None)
    )
    store.delete(command, call_of(command, **fields))


def get(store: FilesystemTabularStore, key: str = "k") -> Row:
    command = GetRow(**HERE, table_name="t", key=key)
    return store.get(command, call_of(command))


def rows(store: FilesystemTabularStore, **fields: Any) -> list[Row]:
    """Of all pages."""
    found: list[Row] = []
    cursor: str | None = None
    while True:
        command = QueryRows(**HERE, table_name="t", cursor=cursor, **fields)
        page = store.query(command, call_of(command))
        found += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return found


def codes(answers: list[UpsertResult | SignalboxError]) -> list[str]:
    return [a.code if isinstance(a, SignalboxError) else "done" for a in answers]


def tombstones(own: Path) -> int:
    with closing(apsw.Connection(str(own / "tables.db"))) as database:
        [(count,)] = database.execute("SELECT count(*) FROM rows WHERE gone IS NOT NULL")
        return int(str(count))


def test_a_bulk_is_one_commit(store: FilesystemTabularStore, own: Path) -> None:
    put(store, row())
    with commits(own / "tables.db") as counted:
        store.upsert_many(items(*[row(f"{n}") for n in range(100)]))
    assert counted() == 1


def test_a_row_may_come_many_times_in_a_bulk(store: FilesystemTabularStore) -> None:
    create, absent = row(n=1), RowCondition(if_absent=True)
    answers = store.upsert_many(
        items(create, row(condition=absent, n=2), row("other"), row(n=3), row("b", absent))
    )
    assert codes(answers) == ["done", "ALREADY_EXISTS", "done", "done", "done"]
    assert get(store).data == {"n": 3}


def test_nothing_of_a_row_runs_behind_a_write_whose_lease_ran_out(
    store: FilesystemTabularStore,
) -> None:
    late = row(n=1)
    bulk = [(late, call_of(late, seconds=-1)), *items(row(n=2), row("other"))]
    assert codes(store.upsert_many(bulk)) == ["LEASE_EXPIRED", "LEASE_EXPIRED", "done"]
    with pytest.raises(NotFound):
        get(store)
    with pytest.raises(LeaseExpired):
        delete(store, "other", seconds=-1)
    assert get(store, "other")


def test_a_late_write_does_not_bring_back_a_deleted_row(store: FilesystemTabularStore) -> None:
    put(store, row(n=1), seq=10)
    delete(store, seq=30)
    for takeover in (False, True):
        put(store, row(n=2), seq=20, takeover=takeover)
        with pytest.raises(NotFound):
            get(store)
    assert rows(store) == rows(store, order_by="n") == []
    put(store, row(condition=RowCondition(if_absent=True), n=4), seq=40)
    delete(store, seq=35)
    assert get(store).revision == 40


def test_a_deletion_of_nothing_keeps_an_older_write_out(store: FilesystemTabularStore) -> None:
    delete(store, seq=30)
    put(store, row(), seq=20)
    with pytest.raises(NotFound):
        get(store)


def test_old_tombstones_go_in_passing_some_with_each_write(
    store: FilesystemTabularStore, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = PRUNED_MOST + 5
    for number in range(count):
        delete(store, f"{number}")
    put(store, row("kept"))
    assert tombstones(own) == count

    monkeypatch.setattr(row_table, "TOMBSTONE_KEPT", -timedelta(minutes=1))
    put(store, row("kept"))
    assert tombstones(own) == 5
    put(store, row("kept"))
    assert tombstones(own) == 0
    assert [found.key for found in rows(store)] == ["kept"]


@settings(deadline=None, max_examples=60)
@given(tables, queries())
def test_a_query_finds_what_a_look_at_every_row_finds(
    table: dict[str, Any], fields: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as directory, closing(open_store(Path(directory))) as store:
        store.upsert_many(items(*[row(key, **data) for key, data in table.items()]))
        delete(store, "gone")
        query = QueryRows(**HERE, table_name="t", **fields)
        expected = [
            found
            for key, data in table.items()
            if passes(query, found := Row(key=key, data=data, revision=1))
        ]
        expected.sort(key=lambda found: order_key(query, found), reverse=query.descending)
        assert [(found.key, exact(found.data)) for found in rows(store, **fields)] == [
            (found.key, exact(found.data)) for found in expected
        ]


@pytest.mark.parametrize(
    "value",
    [0.1 + 0.2, 5e-324, -5e-324, 2.5e-310, 1.7976931348623157e308, 2**63 - 1, -(2**63), 2**53 + 1],
)
@pytest.mark.parametrize("op", ["eq", "lt", "le", "gt", "ge"])
def test_numbers_are_compared_to_their_last_digit(
    store: FilesystemTabularStore, value: float, op: Any
) -> None:
    near = [value, -value, 0, float(value)]
    if isinstance(value, int):
        near += [value - 1 if value > 0 else value + 1]
    else:
        near += [math.nextafter(value, 0), math.nextafter(value, 1e308)]
    near = [each for each in near if isinstance(each, float) or abs(each + 0.5) < 2**63]
    store.upsert_many(items(*[row(f"{n}", n=each) for n, each in enumerate(near)]))
    test = Filter(column="n", op=op, value=value)
    query = QueryRows(**HERE, table_name="t", filters=[test])
    expected = [
        f"{n}"
        for n, each in enumerate(near)
        if passes(query, Row(key=f"{n}", data={"n": each}, revision=1))
    ]
    assert [found.key for found in rows(store, filters=[test])] == expected


@pytest.mark.parametrize("column", ['"', "\\", 'a"."b', "a.b", "[0]", "#-1", "'", "*", "ä "])
def test_a_column_may_have_any_name(store: FilesystemTabularStore, column: str) -> None:
    named = UpsertRow(**HERE, table_name="t", key="1", data={column: "x"})
    store.upsert_many(items(named, row("2", a={"b": "x"}), row("3")))
    test = Filter(column=column, value="x")
    assert [found.key for found in rows(store, filters=[test])] == ["1"]
    assert [found.key for found in rows(store, order_by=column)] == ["1"]


def test_a_page_by_key_costs_its_rows(store: FilesystemTabularStore) -> None:
    for part in range(20):
        store.upsert_many(items(*[row(f"{part:02}-{n:03}", n=n) for n in range(500)]))
    begin = time.perf_counter()
    for descending in (False, True):
        fields = {"descending": descending, "limit": 5}
        command = QueryRows(**HERE, table_name="t", **fields)
        for _ in range(100):
            page = store.query(command, call_of(command))
            assert len(page.rows) == 5
            command = command.model_copy(update={"cursor": page.next_cursor})
    assert time.perf_counter() - begin < 2
