"""Late and repeated writes of rows: a newer write is never undone, and a retry has no effect."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from signalbox.commands.error import (
    AlreadyExists,
    LeaseExpired,
    NotFound,
    PreconditionFailed,
    SignalboxError,
)
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import UpsertResult
from signalbox.testing.store_caller import Acceptance, codes, overtaken
from signalbox.testing.table_caller import TableCaller

KIND = ResourceKind.TABULAR_STORE

late_in_both_ways = pytest.mark.parametrize("takeover", [False, True], ids=["woken", "takeover"])
"""A frozen worker that wakes up knows of nothing; one that takes over is told."""


@pytest.mark.parametrize("if_absent", [False, True])
def test_an_upsert_that_was_done_is_answered_again(table: TableCaller, if_absent: bool) -> None:
    acceptance = Acceptance()
    first = table.upsert("ann", {"n": 1}, call=table.call(acceptance), if_absent=if_absent)
    call = table.call(acceptance, takeover=True)
    assert table.upsert("ann", {"n": 1}, call=call, if_absent=if_absent) == first
    assert table.get("ann").revision == first


def test_a_compare_and_swap_that_was_done_is_not_refused(table: TableCaller) -> None:
    seen, acceptance = table.upsert("ann", {"n": 1}), Acceptance()
    first = table.upsert("ann", {"n": 2}, call=table.call(acceptance), if_revision=seen)
    call = table.call(acceptance, takeover=True)
    assert table.upsert("ann", {"n": 2}, call=call, if_revision=seen) == first
    assert table.data("ann") == {"n": 2}


def test_a_conditional_delete_that_was_done_is_not_refused(table: TableCaller) -> None:
    seen, acceptance = table.upsert("ann"), Acceptance()
    table.delete("ann", call=table.call(acceptance), if_revision=seen)
    table.delete("ann", call=table.call(acceptance, takeover=True), if_revision=seen)
    assert table.keys() == []


@late_in_both_ways
def test_a_late_upsert_leaves_a_newer_row(table: TableCaller, takeover: bool) -> None:
    acceptance = Acceptance()
    newer = table.upsert("ann", {"n": 2})
    with overtaken(takeover):
        revision = table.upsert("ann", {"n": 1}, call=table.call(acceptance, takeover=takeover))
        assert revision == acceptance.seq or not takeover
    row = table.get("ann")
    assert (row.data, row.revision) == ({"n": 2}, newer)


@late_in_both_ways
def test_a_late_upsert_does_not_raise_a_deleted_row(table: TableCaller, takeover: bool) -> None:
    table.upsert("ann", {"n": 1})
    acceptance = Acceptance()
    table.delete("ann")
    with overtaken(takeover):
        table.upsert("ann", {"n": 2}, call=table.call(acceptance, takeover=takeover))
    with pytest.raises(NotFound):
        table.get("ann")
    assert table.rows() == []


@late_in_both_ways
def test_a_late_upsert_does_not_come_behind_a_delete_of_nothing(
    table: TableCaller, takeover: bool
) -> None:
    acceptance = Acceptance()
    table.delete("ann")
    with overtaken(takeover):
        table.upsert("ann", {"n": 1}, call=table.call(acceptance, takeover=takeover))
    assert table.rows() == []


@late_in_both_ways
def test_a_late_delete_leaves_a_newer_row(table: TableCaller, takeover: bool) -> None:
    table.upsert("ann", {"n": 1})
    acceptance = Acceptance()
    newer = table.upsert("ann", {"n": 2})
    with overtaken(takeover):
        table.delete("ann", call=table.call(acceptance, takeover=takeover))
    assert table.get("ann").revision == newer


@late_in_both_ways
def test_a_late_delete_does_not_make_a_newer_one_older(table: TableCaller, takeover: bool) -> None:
    old, between = Acceptance(), Acceptance()
    table.delete("ann")
    with overtaken(takeover):
        table.delete("ann", call=table.call(old, takeover=takeover))
    with suppress(SignalboxError):
        table.upsert("ann", {"n": 1}, call=table.call(between, takeover=True))
    assert table.rows() == []


@late_in_both_ways
@pytest.mark.parametrize("newer", ["row", "deletion"])
def test_a_late_bulk_upsert_leaves_what_is_newer(
    table: TableCaller, takeover: bool, newer: str
) -> None:
    acceptances = [Acceptance(), Acceptance()]
    if newer == "row":
        table.upsert("ann", {"n": 2})
    else:
        table.delete("ann")
    before = table.rows()
    items = [
        table.item(key, {"n": 1}, call=table.call(acceptance, takeover=takeover))
        for key, acceptance in zip(("ann", "bob"), acceptances, strict=True)
    ]
    answers = table.store.upsert_many(items)
    assert len(answers) == 2
    assert not (takeover and isinstance(answers[0], SignalboxError))
    assert [row for row in table.rows() if row.key == "ann"] == before
    assert table.data("bob") == {"n": 1}


def test_a_bulk_upsert_that_was_done_is_answered_again(table: TableCaller) -> None:
    seen = table.upsert("c")
    acceptances = [Acceptance() for _ in range(4)]

    def upsert(takeover: bool) -> list[UpsertResult | SignalboxError]:
        calls = [table.call(acceptance, takeover=takeover) for acceptance in acceptances]
        items = [
            table.item("a", {"n": 1}, call=calls[0]),
            table.item("b", {"n": 2}, call=calls[1], if_absent=True),
            table.item("c", {"n": 3}, call=calls[2], if_revision=seen),
            table.item("d", {"n": 4}, call=calls[3]),
        ]
        return table.store.upsert_many(items)

    first = upsert(takeover=False)
    assert codes(first) == ["OK"] * 4
    table.delete("d")
    *again, late = upsert(takeover=True)
    assert again == first[:3]
    assert isinstance(late, UpsertResult)
    assert late.model_copy(update={"superseded": False}) == first[3]
    assert late.superseded
    assert table.keys() == ["a", "b", "c"]


def test_a_takeover_of_what_was_not_done_does_it_now(table: TableCaller) -> None:
    table.upsert("ann", {"n": 1})
    seen = table.upsert("bob")
    table.upsert("ann", {"n": 2}, call=table.call(takeover=True))
    table.upsert("new", {"n": 3}, call=table.call(takeover=True), if_absent=True)
    table.delete("bob", call=table.call(takeover=True), if_revision=seen)
    assert [(row.key, row.data) for row in table.rows()] == [("ann", {"n": 2}), ("new", {"n": 3})]


@pytest.mark.parametrize("if_absent", [False, True])
def test_what_was_done_and_overtaken_is_answered_as_done(
    table: TableCaller, if_absent: bool
) -> None:
    seen, acceptance = table.upsert("old"), Acceptance()
    key = "ann" if if_absent else "old"
    condition: dict[str, Any] = {"if_absent": True} if if_absent else {"if_revision": seen}
    first = table.upsert(key, {"n": 1}, call=table.call(acceptance), **condition)
    newer = table.upsert(key, {"n": 2})
    call = table.call(acceptance, takeover=True)
    assert table.upsert(key, {"n": 1}, call=call, **condition) == first
    table.delete(key)
    assert table.upsert(key, {"n": 1}, call=call, **condition) == first
    assert first < newer
    assert [row for row in table.rows() if row.key == key] == []


def test_a_takeover_still_honours_its_condition(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    table.upsert("ann", {"n": 2})
    with pytest.raises(PreconditionFailed):
        table.upsert("ann", {"n": 3}, call=table.call(takeover=True), if_revision=seen)
    with pytest.raises(AlreadyExists):
        table.upsert("ann", {"n": 3}, call=table.call(takeover=True), if_absent=True)
    with pytest.raises(PreconditionFailed):
        table.delete("ann", call=table.call(takeover=True), if_revision=seen)
    assert table.data("ann") == {"n": 2}


def test_a_lease_that_ran_out_has_no_effect(table: TableCaller) -> None:
    seen = table.upsert("ann", {"n": 1})
    conditions: list[dict[str, Any]] = [{}, {"if_revision": seen}]
    for condition in conditions:
        with pytest.raises(LeaseExpired):
            table.upsert("ann", {"n": 2}, call=table.late(), **condition)
        with pytest.raises(LeaseExpired):
            table.delete("ann", call=table.late(), **condition)
    with pytest.raises(LeaseExpired):
        table.upsert("bob", call=table.late(), if_absent=True)
    assert [(row.key, row.revision) for row in table.rows()] == [("ann", seen)]
