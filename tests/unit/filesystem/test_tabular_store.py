"""Tables on SQLite: what the conformance suite cannot see."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from signalbox.adapters.filesystem import row_table
from signalbox.adapters.filesystem.row_table import MAX_PRUNED
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.error import LeaseExpired, NotFound, SignalboxError
from signalbox.commands.tabular_store import DeleteRow, DeleteRowResult, RowCondition, UpsertResult
from tests.unit.filesystem.object_files import call_of, commits
from tests.unit.filesystem.table_files import (
    HERE,
    delete,
    get,
    items,
    open_store,
    put,
    row,
    rows,
)


def codes(answers: list[UpsertResult | SignalboxError]) -> list[str]:
    return [a.code if isinstance(a, SignalboxError) else "done" for a in answers]


def tombstones(own: Path) -> int:
    with closing(apsw.Connection(str(own / "tables.db"))) as database:
        [(count,)] = database.execute("SELECT count(*) FROM rows WHERE gone IS NOT NULL")
        return int(str(count))


def test_a_bulk_is_one_commit(table: TabularStore, own: Path) -> None:
    put(table, row())
    with commits(own / "tables.db") as counted:
        table.upsert_many(items(*[row(f"{n}") for n in range(100)]))
    assert counted() == 1


def test_a_bulk_of_deletes_is_one_commit(table: TabularStore, own: Path) -> None:
    table.upsert_many(items(*[row(f"{n}") for n in range(100)]))
    commands = [DeleteRow(**HERE, table_name="t", key=f"{n}") for n in range(120)]
    with commits(own / "tables.db") as counted:
        answers = table.delete_many([(command, call_of(command)) for command in commands])
    assert counted() == 1
    assert answers == [DeleteRowResult(table_name="t", key=f"{n}") for n in range(120)]
    assert (rows(table), tombstones(own)) == ([], 120)


def test_a_row_may_come_many_times_in_a_bulk(table: TabularStore) -> None:
    create, absent = row(n=1), RowCondition(if_absent=True)
    answers = table.upsert_many(
        items(create, row(condition=absent, n=2), row("other"), row(n=3), row("b", absent))
    )
    assert codes(answers) == ["done", "ALREADY_EXISTS", "done", "done", "done"]
    assert get(table).data == {"n": 3}


def test_nothing_of_a_row_runs_behind_a_write_whose_lease_ran_out(
    table: TabularStore,
) -> None:
    late = row(n=1)
    bulk = [(late, call_of(late, seconds=-1)), *items(row(n=2), row("other"))]
    assert codes(table.upsert_many(bulk)) == ["LEASE_EXPIRED", "LEASE_EXPIRED", "done"]
    with pytest.raises(NotFound):
        get(table)
    with pytest.raises(LeaseExpired):
        delete(table, "other", seconds=-1)
    assert get(table, "other")


def test_a_late_write_does_not_bring_back_a_deleted_row(table: TabularStore) -> None:
    put(table, row(n=1), seq=10)
    delete(table, seq=30)
    for takeover in (False, True):
        put(table, row(n=2), seq=20, takeover=takeover)
        with pytest.raises(NotFound):
            get(table)
    assert rows(table) == rows(table, order_by="n") == []
    put(table, row(condition=RowCondition(if_absent=True), n=4), seq=40)
    delete(table, seq=35)
    assert get(table).revision == 40


def test_a_deletion_of_nothing_keeps_an_older_write_out(table: TabularStore) -> None:
    delete(table, seq=30)
    put(table, row(), seq=20)
    with pytest.raises(NotFound):
        get(table)


def test_old_tombstones_go_in_passing_some_with_each_write(
    table: TabularStore, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = MAX_PRUNED + 5
    for number in range(count):
        delete(table, f"{number}")
    put(table, row("kept"))
    assert tombstones(own) == count

    monkeypatch.setattr(row_table, "TOMBSTONE_KEPT", -timedelta(minutes=1))
    put(table, row("kept"))
    assert tombstones(own) == 5
    put(table, row("kept"))
    assert tombstones(own) == 0
    assert [found.key for found in rows(table)] == ["kept"]


def test_tables_of_the_release_before_go_on(tmp_path: Path, own: Path) -> None:
    before = open_store(tmp_path)
    seen = put(before, row("old", n=1))
    delete(before, "gone")
    before.close()
    with closing(apsw.Connection(str(own / "tables.db"))) as database:
        database.execute("ALTER TABLE rows DROP COLUMN mark; PRAGMA user_version = 1")
    table = open_store(tmp_path)
    assert get(table, "old").revision == seen
    put(table, row("old", RowCondition(if_revision=seen), n=2))
    put(table, row("gone", n=3))
    assert [found.data for found in rows(table)] == [{"n": 3}, {"n": 2}]
    table.close()
