"""Rows after a restore of the ledger, a replay, or an op_id used anew: what is newer stays, what
is the command's own is known, and what is another's is not taken for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.store_caller import Acceptance
from signalbox.testing.table_caller import TableCaller

KIND = ResourceKind.TABULAR_STORE

named = pytest.mark.parametrize(
    "begin", [Acceptance, Acceptance.numbered], ids=["named", "numbered"]
)


def test_a_restored_upsert_says_that_a_newer_one_is_there(table: TableCaller) -> None:
    acceptance = Acceptance()
    newer = table.upsert("ann", {"n": 2})
    assert table.late_upsert("ann", table.call(acceptance, takeover=True))
    assert table.late_upsert("ann", table.call(acceptance, takeover=True), if_absent=True)
    assert table.get("ann").revision == newer


@pytest.mark.parametrize("there", [False, True], ids=["of nothing", "of a row"])
def test_a_restored_upsert_does_not_bring_back_what_was_deleted(
    table: TableCaller, there: bool
) -> None:
    acceptance = Acceptance()
    if there:
        table.upsert("ann", {"n": 1}, call=table.call(acceptance))
    table.delete("ann")
    assert table.late_upsert("ann", table.call(acceptance, takeover=True))
    assert table.rows() == []


def test_a_restored_delete_says_that_a_newer_row_is_there(table: TableCaller) -> None:
    seen, acceptance = table.upsert("ann"), Acceptance()
    newer = table.upsert("ann", {"n": 2})
    assert table.delete("ann", call=table.call(acceptance, takeover=True))
    assert table.delete("ann", call=table.call(acceptance, takeover=True), if_revision=seen)
    assert table.get("ann").revision == newer


def test_a_restored_history_ends_where_it_had_ended(table: TableCaller) -> None:
    acceptances = [Acceptance() for _ in range(4)]

    def play(takeover: bool) -> list[bool]:
        calls = [table.call(acceptance, takeover=takeover) for acceptance in acceptances]
        put = [table.store.upsert(*table.item("ann", {"n": n}, call=calls[n])) for n in (0, 1)]
        gone = table.delete("ann", call=calls[2])
        last = table.store.upsert(*table.item("bob", {}, call=calls[3]))
        return [put[0].superseded, put[1].superseded, gone, last.superseded]

    assert play(takeover=False) == [False] * 4
    assert play(takeover=True) == [True, True, False, False]
    assert table.keys() == ["bob"]


def test_an_ordinary_write_was_not_superseded(table: TableCaller) -> None:
    acceptance = Acceptance()
    for takeover in (False, True):
        call = table.call(acceptance, takeover=takeover)
        assert not table.store.upsert(*table.item("ann", {}, call=call)).superseded
    acceptance = Acceptance()
    for takeover in (False, True):
        assert not table.delete("ann", call=table.call(acceptance, takeover=takeover))


@named
@pytest.mark.parametrize("condition", ["if_absent", "if_revision"])
def test_a_replayed_upsert_knows_its_effect(
    table: TableCaller, begin: Callable[[], Acceptance], condition: str
) -> None:
    seen = table.upsert("ann") if condition == "if_revision" else None
    demanded: dict[str, Any] = {"if_revision": seen} if seen else {"if_absent": True}
    acceptance = begin()
    table.upsert("ann", {"n": 1}, call=table.call(acceptance), **demanded)
    for _ in range(2):
        acceptance = acceptance.replayed()
        call = table.call(acceptance, takeover=True)
        item = table.item("ann", {"n": 1}, call=call, **demanded)
        answers = [table.store.upsert(*item), *table.store.upsert_many([item])]
        revision = table.get("ann").revision
        assert [(getattr(a, "revision", a), getattr(a, "superseded", a)) for a in answers] == [
            (revision, False)
        ] * 2
    assert table.data("ann") == {"n": 1}


@named
def test_replayed_upserts_of_one_message_know_their_effects(
    table: TableCaller, begin: Callable[[], Acceptance]
) -> None:
    acceptances = {key: begin() for key in ("a", "b", "c")}
    for key in ("a", "b"):
        table.upsert(key, {"n": 1}, call=table.call(acceptances[key]), if_absent=True)
    items = [
        table.item(
            key, {"n": 1}, call=table.call(acceptance.replayed(), takeover=True), if_absent=True
        )
        for key, acceptance in acceptances.items()
    ]
    assert [getattr(a, "superseded", a) for a in table.store.upsert_many(items)] == [False] * 3
    assert table.keys() == ["a", "b", "c"]


@named
def test_a_replayed_conditional_delete_knows_its_effect(
    table: TableCaller, begin: Callable[[], Acceptance]
) -> None:
    seen, acceptance = table.upsert("ann"), begin()
    table.delete("ann", call=table.call(acceptance), if_revision=seen)
    for _ in range(2):
        acceptance = acceptance.replayed()
        assert not table.delete("ann", call=table.call(acceptance, takeover=True), if_revision=seen)
    assert table.rows() == []


@named
def test_a_replay_is_the_newest_write(table: TableCaller, begin: Callable[[], Acceptance]) -> None:
    acceptance, frozen = begin(), Acceptance()
    table.upsert("ann", {"n": 1}, call=table.call(acceptance))
    table.upsert("ann", {"n": 1}, call=table.call(acceptance.replayed(), takeover=True))
    assert table.late_upsert("ann", table.call(frozen, takeover=True))
    assert table.data("ann") == {"n": 1}


@named
def test_a_replay_still_honours_its_condition(
    table: TableCaller, begin: Callable[[], Acceptance]
) -> None:
    acceptance = begin()
    seen = table.upsert("ann", {"n": 1}, call=table.call(acceptance), if_absent=True)
    table.upsert("ann", {"n": 2})
    call = table.call(acceptance.replayed(), takeover=True)
    with pytest.raises(AlreadyExists):
        table.upsert("ann", {"n": 1}, call=call, if_absent=True)
    with pytest.raises(PreconditionFailed):
        table.delete("ann", call=call, if_revision=seen)
    assert table.data("ann") == {"n": 2}


@pytest.mark.parametrize("takeover", [False, True])
def test_an_op_id_used_anew_is_another_command(table: TableCaller, takeover: bool) -> None:
    first, second = Acceptance.numbered(), Acceptance.numbered()

    def upsert(acceptance: Acceptance, n: int, **condition: Any) -> int:
        command, call = table.item(
            "ann", {"n": n}, call=table.call(acceptance, takeover=takeover), **condition
        )
        return table.store.upsert(command.model_copy(update={"op_id": "nightly"}), call).revision

    upsert(first, 1)
    with pytest.raises(AlreadyExists):
        upsert(second, 2, if_absent=True)
    assert upsert(second, 2) == second.seq
    assert table.data("ann") == {"n": 2}


def test_a_frozen_first_attempt_of_a_replayed_command_changes_nothing(table: TableCaller) -> None:
    acceptance = Acceptance.numbered()
    table.upsert("ann", {"n": 1}, call=table.call(acceptance))
    replay = acceptance.replayed()
    revision = table.upsert("ann", {"n": 1}, call=table.call(replay, takeover=True))
    woken = replace(table.call(acceptance), takeover=False)
    assert not table.store.upsert(*table.item("ann", {"n": 1}, call=woken)).superseded
    assert table.get("ann").revision == revision
