"""Conditional writes of rows, and races that conditions decide."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from signalbox.commands.error import (
    AlreadyExists,
    Contended,
    NotFound,
    PreconditionFailed,
    SignalboxError,
    Unavailable,
)
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import TableCaller

KIND = ResourceKind.TABULAR_STORE


def test_if_absent_creates_once(table: TableCaller) -> None:
    table.upsert("ann", {"n": 1}, if_absent=True)
    with pytest.raises(AlreadyExists):
        table.upsert("ann", {"n": 2}, if_absent=True)
    assert table.data("ann") == {"n": 1}


def test_if_absent_holds_behind_a_delete(table: TableCaller) -> None:
    table.upsert("ann", {"n": 1})
    table.delete("ann")
    table.upsert("ann", {"n": 2}, if_absent=True)
    assert table.data("ann") == {"n": 2}


def test_if_absent_holds_behind_a_delete_of_nothing(table: TableCaller) -> None:
    table.delete("ann")
    table.upsert("ann", {"n": 1}, if_absent=True)
    assert table.data("ann") == {"n": 1}


def test_if_revision_replaces_what_was_seen(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    assert table.upsert("ann", {"n": 2}, if_revision=seen) > seen
    assert table.data("ann") == {"n": 2}


def test_if_revision_refuses_another(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    table.upsert("ann", {"n": 2})
    with pytest.raises(PreconditionFailed):
        table.upsert("ann", {"n": 3}, if_revision=seen)
    assert table.data("ann") == {"n": 2}


@pytest.mark.parametrize("revision", [1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**30])
def test_if_revision_refuses_a_missing_row(table: TableCaller, revision: int) -> None:
    with pytest.raises(PreconditionFailed):
        table.upsert("ann", if_revision=revision)
    with pytest.raises(PreconditionFailed):
        table.delete("ann", if_revision=revision)
    assert table.keys() == []


def test_if_revision_refuses_a_deleted_row(table: TableCaller) -> None:
    seen = table.upsert("ann")
    table.delete("ann")
    with pytest.raises(PreconditionFailed):
        table.upsert("ann", if_revision=seen)
    with pytest.raises(NotFound):
        table.get("ann")


def test_a_deletion_is_no_revision_that_could_be_seen(table: TableCaller) -> None:
    table.upsert("ann")
    deletion = table.call()
    table.delete("ann", call=deletion)
    for refused in (table.upsert, table.delete):
        with pytest.raises(PreconditionFailed):
            refused("ann", if_revision=deletion.seq)
    assert table.keys() == []


def test_a_row_that_was_written_again_has_another_revision(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    table.delete("ann")
    table.upsert("ann", {"n": 1})
    with pytest.raises(PreconditionFailed):
        table.upsert("ann", {"n": 2}, if_revision=seen)


def test_a_conditional_delete_removes_what_was_seen(table: TableCaller) -> None:
    table.delete("ann", if_revision=table.upsert("ann"))
    assert table.keys() == []


def test_a_conditional_delete_refuses_another_revision(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    table.upsert("ann", {"n": 2})
    with pytest.raises(PreconditionFailed):
        table.delete("ann", if_revision=seen)
    assert table.data("ann") == {"n": 2}


def test_a_refused_write_leaves_the_revision(table: TableCaller) -> None:
    revision = table.upsert("ann", {"n": 1})
    with pytest.raises(AlreadyExists):
        table.upsert("ann", if_absent=True)
    with pytest.raises(PreconditionFailed):
        table.delete("ann", if_revision=revision + 1000)
    assert table.upsert("ann", {"n": 2}, if_revision=revision) > revision


@pytest.mark.parametrize("condition", [{"if_absent": True}, {"if_revision": 10**9}])
def test_a_refusal_names_its_place_and_the_next_step(
    table: TableCaller, condition: dict[str, Any]
) -> None:
    table.upsert("ann")
    with pytest.raises(SignalboxError) as refused:
        table.upsert("ann", **condition)
    detail = refused.value.detail()
    assert detail.code == ("ALREADY_EXISTS" if "if_absent" in condition else "PRECONDITION_FAILED")
    assert (detail.kind, detail.tenant_id, detail.env) == (KIND, table.tenant, "dev")
    assert detail.backend_type
    assert detail.next_step
    assert not detail.temporary


def test_of_many_creators_one_wins(table: TableCaller) -> None:
    def create(number: int) -> int | None:
        try:
            table.upsert("ann", {"n": number}, if_absent=True)
        except (AlreadyExists, Contended, Unavailable):
            return None
        return number

    with ThreadPoolExecutor(5) as threads:
        winners = [won for won in threads.map(create, range(10)) if won is not None]
    assert [table.data("ann")["n"]] == winners


def test_a_counter_kept_by_compare_and_swap_loses_no_step(table: TableCaller) -> None:
    table.upsert("counter", {"n": 0})

    def count(_: int) -> None:
        for _ in range(5):
            while True:
                row = table.get("counter")
                try:
                    table.upsert("counter", {"n": row.data["n"] + 1}, if_revision=row.revision)
                except (PreconditionFailed, Contended, Unavailable):
                    continue
                break

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(count, range(5)))
    assert table.data("counter") == {"n": 25}


def test_of_writers_side_by_side_the_last_accepted_stands(table: TableCaller) -> None:
    calls = [table.call() for _ in range(20)]

    def write(number: int) -> None:
        while True:
            try:
                table.upsert("ann", {"n": number}, call=calls[number])
            except (Contended, Unavailable):
                continue
            return

    with ThreadPoolExecutor(5) as threads:
        # The newest begin first: most of the others come too late.
        list(threads.map(write, reversed(range(20))))
    assert table.data("ann") == {"n": 19}
    assert table.get("ann").revision == calls[19].seq
