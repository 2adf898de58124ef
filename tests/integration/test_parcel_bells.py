"""Who comes for parcels that are ready: rings, help, the window of a scope."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.ledger.ledger import MAX_TOGETHER
from signalbox.commands.ledger.parcels import RING_ALONE
from signalbox.commands.state import State
from tests.integration.parcel_harness import (
    HASTY,
    QUEUE,
    SHARD,
    ParcelHarness,
    commands_of,
    rings,
    wait_for,
    woken,
)
from tests.integration.test_ledger import put

NEW, HELD = Acceptance.NEW, Acceptance.HELD
RING = [(SHARD, QUEUE)]
LATER = timedelta(hours=1)


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state, tenant_window=0)


@pytest.fixture
def hasty(state: State) -> ParcelHarness:
    """One for whom a ring counts for a short while only."""
    return ParcelHarness(state, tenant_window=0, publish_grace=HASTY)


def test_many_submits_are_one_ring_until_it_is_answered(harness: ParcelHarness) -> None:
    assert rings(harness.accept(put("a")).wakes) == RING
    assert rings(harness.accept(put("b")).wakes) == []
    taken = harness.take()
    assert (len(taken.claims.claimed), rings(taken.wakes)) == (2, [])
    assert rings(harness.accept(put("c")).wakes) == RING


def test_where_the_broker_is_the_state_the_ring_is_on_the_queue_at_once(
    state: State,
) -> None:
    harness = ParcelHarness(state)
    harness.parcels._message = lambda shard, queue: f"ring for {queue} of {shard}"
    assert harness.accept(put("a")).wakes == harness.accept(put("b")).wakes == []
    assert harness.client.lrange(QUEUE, 0, -1) == [f"ring for {QUEUE} of {SHARD}".encode()]


def of_shards(harness: ParcelHarness, number: int) -> dict[str, Any]:
    """A command on each of so many shards, of which the first is the one of t_a."""
    found: dict[str, Any] = {SHARD: put("a")}
    for n in range(1_000):
        command = put("a", tenant=f"t_{n}")
        if len(found) < number:
            found.setdefault(harness.ledger.shards.of(command.ref), command)
    assert len(found) == number
    return found


def test_what_tenants_of_several_shards_submit_together_is_one_take_and_one_end(
    harness: ParcelHarness,
) -> None:
    shards = of_shards(harness, 3)
    commands = list(shards.values())
    assert sorted(rings(harness.accept(*commands).wakes)) == sorted((s, QUEUE) for s in shards)
    idle = next(tag for tag in harness.ledger.shards.tags if tag not in shards)
    take = harness.parcels.take([idle, *shards], QUEUE, token="one", worker="w", rung=True)
    assert {claimed.command.ref for claimed in take.claims.claimed} == {c.ref for c in commands}
    again = harness.parcels.take([idle, *shards], QUEUE, token="one", worker="w", rung=True)
    assert [c.command.ref for c in again.claims.claimed] == [
        c.command.ref for c in take.claims.claimed
    ], "asked again, it gives the same"
    harness.end(take.claims)
    assert all(
        outcome is not None for outcome in harness.ledger.outcomes([c.ref for c in commands])
    )


def test_a_drain_comes_again_to_the_shards_that_gave_it_something(harness: ParcelHarness) -> None:
    (first, one), (second, other) = of_shards(harness, 2).items()
    harness.accept(one, put("b"))
    both = [second, first]
    take = harness.parcels.take(
        both,
        QUEUE,
        token="one",
        worker="w",
        rung=True,
        back_for_more=LATER,
    )
    assert take.expected == [first]
    assert rings(harness.accept(put("c")).wakes) == [], "it is believed to come"
    assert rings(harness.accept(other).wakes) == [(second, QUEUE)]


def test_of_few_shards_each_puts_a_message_on_the_queue_and_of_many_none(state: State) -> None:
    harness = ParcelHarness(state)
    harness.parcels._message = lambda shard, queue: f"ring for {queue} of {shard}"
    few, all_ = of_shards(harness, RING_ALONE), of_shards(harness, 2 * RING_ALONE + 1)
    assert harness.accept(*few.values()).wakes == []
    assert harness.client.llen(QUEUE) == len(few)
    many = {shard: command for shard, command in all_.items() if shard not in few}
    assert sorted(rings(harness.accept(*many.values()).wakes)) == sorted((s, QUEUE) for s in many)
    assert harness.client.llen(QUEUE) == len(few)


def test_nobody_is_rung_for_while_a_drain_is_at_work_that_comes_again(
    harness: ParcelHarness,
) -> None:
    harness.accept(put("a"), put("e"))
    assert harness.take(back_for_more=LATER).expected
    assert rings(harness.accept(put("b"), put("f")).wakes) == []
    assert len(harness.taken(rung=False, back_for_more=LATER).claimed) == 2
    assert harness.taken(rung=False, back=LATER).claimed == []
    assert rings(harness.accept(put("c")).wakes) == []
    assert len(harness.taken(rung=False).claimed) == 1
    assert rings(harness.accept(put("d")).wakes) == RING, "this one said that it goes"


def test_a_drain_that_took_a_single_command_goes_at_once(harness: ParcelHarness) -> None:
    harness.accept(put("a"))
    taken = harness.take(back_for_more=LATER)
    assert (len(taken.claims.claimed), taken.expected) == (1, [])
    assert rings(harness.accept(put("b")).wakes) == RING


def test_a_drain_that_goes_has_another_come_for_what_is_ready(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=0)
    for n in range(5):
        harness.accept(*[put(f"k{n}-{m}") for m in range(100)])
    taken = harness.take()
    assert len(taken.claims.claimed) == 400
    assert rings(taken.wakes) == RING
    taken = harness.take()
    assert (len(taken.claims.claimed), rings(taken.wakes)) == (100, [])


def test_a_drain_that_leaves_much_rings_for_help(harness: ParcelHarness) -> None:
    for n in range(6):
        harness.accept(*[put(f"k{n}-{m}") for m in range(100)])
    assert rings(harness.take(back_for_more=LATER).wakes) == RING
    assert rings(harness.accept(*[put(f"m{m}") for m in range(100)]).wakes) == [], "once"
    assert len(harness.taken(back_for_more=LATER).claimed) == 300


def test_help_is_rung_for_again_only_when_it_came(harness: ParcelHarness) -> None:
    def hundred(name: str) -> list[tuple[str, str]]:
        return rings(harness.accept(*[put(f"{name}{m}") for m in range(100)]).wakes)

    harness.accept(put("a"), put("b"))
    harness.taken(back_for_more=LATER)
    assert [hundred(name) for name in "bcd"] == [[], RING, []]
    assert len(harness.taken(rung=True, back_for_more=LATER).claimed) == 300
    assert [hundred(name) for name in "efg"] == [[], RING, []]
    assert len(harness.taken(rung=False, back_for_more=LATER).claimed) == 300
    assert [hundred(name) for name in "hij"] == [[], [], []], "it has not come yet"


def test_a_ring_that_nobody_answers_is_rung_again(hasty: ParcelHarness) -> None:
    hasty.accept(put("a"))
    for _ in range(2):
        assert rings(wait_for(lambda: hasty.ledger.due().wakes)) == RING
    assert len(hasty.taken().claimed) == 1
    assert not hasty.client.exists(f"{SHARD}:bell")
    assert hasty.ledger.due().wakes == []


def test_a_submit_rings_where_the_last_ring_was_lost(hasty: ParcelHarness) -> None:
    hasty.accept(put("first"))
    keys = (f"k{n}" for n in range(10_000))
    assert wait_for(lambda: rings(hasty.accept(put(next(keys))).wakes)) == RING


def test_a_drain_that_died_is_believed_to_be_at_work_for_a_while_only(
    harness: ParcelHarness,
) -> None:
    harness.accept(put("a"), put("c"))
    harness.taken(back_for_more=HASTY)
    # Who submits rings if that is over by then, else the reconciler does.
    wakes = harness.accept(put("b")).wakes or wait_for(lambda: harness.ledger.due().wakes)
    assert rings(wakes) == RING
    assert len(harness.taken().claimed) == 1


def test_help_that_never_came_is_rung_for_again(state: State, hasty: ParcelHarness) -> None:
    patient = ParcelHarness(state, tenant_window=0)
    patient.accept(put("a"), put("b"))
    patient.taken(back_for_more=LATER)
    keys = (f"k{n}" for n in range(100_000))

    def hundred(harness: ParcelHarness) -> list[tuple[str, str]]:
        return rings(harness.accept(*[put(next(keys)) for _ in range(100)]).wakes)

    # Help is believed to be on its way for as long as who rang for it says.
    assert [hundred(patient), hundred(hasty)] == [[], RING]
    assert wait_for(lambda: hundred(hasty)) == RING


def test_the_window_of_a_scope_holds_parcels_and_records_in_one_order(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=4)
    first = [put(f"a{n}") for n in range(5)]
    # A parcel goes whenever its scope is below the window.
    assert harness.submit(*first) == [NEW] * 5
    second, record, third = [put("b1"), put("b2")], put("a0", b"2"), put("c")
    assert harness.submit(*second) == [HELD] * 2
    assert harness.submit(record) == [HELD]
    assert harness.submit(third) == [HELD]
    assert harness.ledger.totals()["held"] == 4
    claims = harness.taken()
    assert commands_of(claims) == first, "nothing else is ready"
    finished = harness.end(claims)
    assert (woken(finished.wakes), rings(finished.wakes)) == ([record.ref], RING)
    assert commands_of(harness.taken()) == [*second, third]
    assert harness.ledger.totals()["held"] == 0


def test_what_comes_behind_what_is_held_is_held_also_where_there_is_room(
    state: State,
) -> None:
    harness = ParcelHarness(state, tenant_window=2)
    first, held = [put("a"), put("b")], [put("c"), put("d")]
    harness.submit(*first)
    assert harness.submit(*held) == [HELD] * 2
    claims = harness.taken()
    wide = ParcelHarness(state, tenant_window=100)
    assert wide.submit(put("e")) == [HELD]
    harness.end(claims)
    assert commands_of(harness.taken()) == held, "and what is beyond the window waits on"


def test_the_end_of_a_record_lets_parcels_go(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    record, parcel = put("a"), put("b")
    harness.submit(record, as_records=True)
    assert harness.submit(parcel) == [HELD]
    assert harness.taken().claimed == []
    assert rings(harness.run(record).wakes) == RING
    assert commands_of(harness.taken()) == [parcel]


def test_what_leaves_its_parcel_still_fills_the_window(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    first, second = put("a"), put("b")
    harness.submit(first)
    harness.submit(second)
    harness.end(harness.taken(), {first.ref: Action.RETRY})
    assert harness.taken().claimed == []
    assert rings(harness.run(first).wakes) == RING
    assert commands_of(harness.taken()) == [second]


def test_held_parcels_go_on_where_nothing_of_their_scope_ends(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=2, publish_grace=HASTY)
    stuck, held = [put("a"), put("b")], put("c")
    harness.submit(*stuck)
    harness.taken(back_for_more=LATER)
    harness.submit(held)
    wait_for(lambda: harness.ledger.due() and harness.ledger.totals()["held"] == 0)
    assert commands_of(harness.taken()) == [held]


def test_without_a_window_any_more_all_that_was_held_goes(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    harness.submit(put("a"))
    harness.taken(back_for_more=LATER)
    assert [harness.submit(put(f"k{n}")) for n in range(3)] == [[HELD]] * 3
    ParcelHarness(state, tenant_window=0).ledger.due()
    assert len(harness.taken().claimed) == 3
    assert harness.ledger.totals()["held"] == 0


def test_parcels_of_one_scope_are_let_go_as_far_as_the_window_and_no_further(
    state: State,
) -> None:
    window = 2 * MAX_TOGETHER
    harness = ParcelHarness(state, tenant_window=window)
    for name in "abcdefg":
        harness.submit(*[put(f"{name}{n}") for n in range(100)])
    claims = harness.taken()
    assert len(claims.claimed) == window
    assert harness.ledger.totals()["held"] == 500
    harness.end(claims)
    assert len(harness.taken().claimed) == window
    assert harness.ledger.totals()["held"] == 300


def test_a_scope_holds_nothing_of_another(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    harness.submit(put("a"), put("b"))
    assert harness.submit(put("c"), put("a", tenant="t_b")) == [HELD, NEW]


def test_a_count_that_drifted_neither_rings_for_nothing_nor_keeps_anyone_waiting(
    harness: ParcelHarness,
) -> None:
    harness.accept(put("a"), put("b"))
    harness.client.hincrby(f"{SHARD}:open", f"r/{QUEUE}", 5)
    taken = harness.take()
    assert (len(taken.claims.claimed), rings(taken.wakes)) == (2, [])
    harness.accept(put("c"))
    harness.client.hset(f"{SHARD}:open", f"r/{QUEUE}", -5)
    for n in range(5):
        harness.accept(*[put(f"k{n}-{m}") for m in range(100)])
    harness.client.hset(f"{SHARD}:open", f"r/{QUEUE}", -5)
    taken = harness.take()
    assert rings(taken.wakes) == RING, "something is ready"
