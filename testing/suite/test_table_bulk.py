"""Bulk upserts: an answer for each command, and no error of one affects another."""

from __future__ import annotations

from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import UpsertResult
from signalbox.testing.store_caller import codes
from signalbox.testing.table_caller import TableCaller

KIND = ResourceKind.TABULAR_STORE


def test_nothing_is_answered_with_nothing(table: TableCaller) -> None:
    assert table.store.upsert_many([]) == []


def test_each_is_answered_in_its_place(table: TableCaller) -> None:
    items = [table.item(f"k{n % 7}/{n}", {"n": n}, table=f"t{n % 3}") for n in range(120)]
    answers = table.store.upsert_many(items)
    assert answers == [
        UpsertResult(table_name=command.table_name, key=command.key, revision=call.seq)
        for command, call in items
    ]
    for number in range(3):
        rows = table.rows(table=f"t{number}")
        assert {row.key: row.data["n"] for row in rows} == {
            command.key: command.data["n"]
            for command, _ in items
            if command.table_name == f"t{number}"
        }


def test_conditions_are_asked_for_each(table: TableCaller) -> None:
    seen = table.upsert("there", {"n": 0})
    stale = table.upsert("changed", {"n": 0})
    table.upsert("changed", {"n": 1})
    table.upsert("kept", {"n": 0})
    answers = table.store.upsert_many(
        [
            table.item("plain", {"n": 2}),
            table.item("there", {"n": 2}, if_revision=seen),
            table.item("changed", {"n": 2}, if_revision=stale),
            table.item("new", {"n": 2}, if_absent=True),
            table.item("kept", {"n": 2}, if_absent=True),
            table.item("missing", {"n": 2}, if_revision=seen),
            table.item("last", {"n": 2}),
        ]
    )
    assert codes(answers) == [
        *("OK", "OK", "PRECONDITION_FAILED", "OK", "ALREADY_EXISTS", "PRECONDITION_FAILED", "OK")
    ]
    for answer in answers:
        assert getattr(answer, "next_step", "none needed")
        assert getattr(answer, "tenant_id", table.tenant) == table.tenant
    assert {row.key: row.data["n"] for row in table.rows()} == {
        "changed": 1,
        "kept": 0,
        **dict.fromkeys(["last", "new", "plain", "there"], 2),
    }


def test_a_lease_that_ran_out_stops_only_its_own(table: TableCaller) -> None:
    answers = table.store.upsert_many(
        [table.item("a"), table.item("b", call=table.late()), table.item("c")]
    )
    assert codes(answers) == ["OK", "LEASE_EXPIRED", "OK"]
    assert table.keys() == ["a", "c"]


def test_large_rows_go_together_or_are_refused_alone(table: TableCaller) -> None:
    sizes = [10, 1_040_000, 10, 380_000, 300_000, 1_040_000, 300_000, 10]
    items = [table.item(f"k{n}", {"x": "x" * size}) for n, size in enumerate(sizes)]
    answers = table.store.upsert_many(items)
    found = codes(answers)
    assert {code for code, size in zip(found, sizes, strict=True) if size < 350_000} == {"OK"}
    assert set(found) <= {"OK", "TOO_LARGE"}
    assert {row.key: len(row.data["x"]) for row in table.rows()} == {
        f"k{n}": size for n, size in enumerate(sizes) if found[n] == "OK"
    }


def test_an_upsert_of_many_replaces_whole_rows(table: TableCaller) -> None:
    table.fill({f"k{n}": {"a": 1, "b": {"c": 1}} for n in range(5)})
    table.fill({f"k{n}": {"b": {"d": n}} for n in range(5)})
    assert [row.data for row in table.rows()] == [{"b": {"d": n}} for n in range(5)]
