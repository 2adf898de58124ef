"""Parcels that are taken: by whom, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.clock import lease_clock
from signalbox.commands.ledger.entry import Action
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.state import State
from tests.integration.parcel_harness import (
    HASTY,
    SHARD,
    ParcelHarness,
    commands_of,
    let_lease_end,
    wait_for,
    woken,
)
from tests.integration.round_trips import round_trips
from tests.integration.test_ledger import put


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


@pytest.fixture
def hasty(state: State) -> ParcelHarness:
    """The same ledger for workers whose leases run out soon."""
    return ParcelHarness(state, lease=HASTY)


def test_a_parcel_is_given_once(harness: ParcelHarness) -> None:
    harness.submit(put("a"))
    assert len(harness.taken().claimed) == 1
    assert harness.client.keys(f"{SHARD}:rdy:*") == []
    assert harness.taken().claimed == []
    assert harness.ledger.totals()["claimed"] == 1


def test_positions_that_were_left_out_never_run_from_the_parcel(hasty: ParcelHarness) -> None:
    known, busy, mine = put("a"), put("k"), put("b")
    hasty.submit(known, busy, as_records=True)
    behind = put("k", b"2")
    hasty.submit(known, behind, mine)
    assert commands_of(hasty.taken()) == [mine]
    assert wait_for(hasty.open_late) == 1
    assert hasty.waiting_on("k") == [busy.ref, behind.ref], "each stands there once"
    [record] = hasty.ledger.records([behind.ref])
    assert record
    assert (record.state, record.worker) == ("queued", None)
    assert hasty.ledger.totals()["open"] == 4


def test_positions_that_were_left_out_do_not_leave_the_parcel_at_its_end(
    harness: ParcelHarness,
) -> None:
    busy, behind, mine = put("k"), put("k", b"2"), put("b")
    harness.submit(busy, as_records=True)
    harness.submit(behind, mine)
    harness.end(harness.taken(), {mine.ref: Action.RETRY})
    assert harness.waiting_on("k") == [busy.ref, behind.ref]
    assert harness.waiting_on("b") == [mine.ref]
    [record] = harness.ledger.records([behind.ref])
    assert record
    assert record.attempt == 0


def test_a_take_that_is_asked_again_gives_the_same_under_a_new_lease(state: State) -> None:
    harness = ParcelHarness(state, lease=timedelta(seconds=2))
    first, later = put("a"), put("b")
    harness.submit(first)
    claims = harness.taken("t1")
    [late] = late_of(harness)
    harness.submit(later)
    again = harness.taken("t1")
    assert commands_of(again) == [first], "what came later is not in the answer that was lost"
    assert again.claimed[0].deadline > claims.claimed[0].deadline
    assert again.claimed[0].attempt == 1
    [(_, until)] = harness.client.zrange(f"{SHARD}:pdue", 0, -1, withscores=True)
    assert int(until) > int(late[1].split()[1])
    let_lease_end(HASTY)
    # The reconciler looked before the take was asked again: the lease that it saw is no more.
    assert harness.parcels.open_late([(SHARD, late)]) == 0
    assert harness.end(again).refused == []
    assert harness.ledger.totals()["claimed"] == 1


def late_of(harness: ParcelHarness) -> list[tuple[bytes, bytes, bytes]]:
    """What due.lua gives of the parcels that are taken, once their lease is over."""
    names: Any = harness.client.zrange(f"{SHARD}:pdue", 0, -1)
    return [
        (
            name,
            harness.client.hget(f"{SHARD}:par", name.decode()),
            harness.client.get(f"{SHARD}:c:{name.decode()}"),
        )
        for name in names
    ]


def test_a_take_that_is_asked_again_gives_nothing_that_left_it_since(
    harness: ParcelHarness,
) -> None:
    harness.submit(put("a"))
    claims = harness.taken("t1")
    harness.end(claims)
    assert harness.taken("t1").claimed == []


def test_the_lease_grows_by_all_content_that_a_take_gives(harness: ParcelHarness) -> None:
    harness.submit(*[put(f"k{n}", b"x" * 60_000) for n in range(20)])
    started = lease_clock()
    claims = harness.taken()
    assert len(claims.parcels) > 1
    plain = harness.settings.lease.total_seconds()
    deadlines = {claimed.deadline for claimed in claims.claimed}
    assert len(deadlines) == 1
    assert deadlines.pop() - started - plain > 20 * 60_000 / (2 * 1024 * 1024) - 0.1


def test_a_take_gives_no_more_than_a_worker_runs_within_its_lease(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=0)
    for n in range(6):
        harness.submit(*[put(f"k{n}-{m}") for m in range(100)])
    assert len(harness.taken().claimed) == 400
    assert len(harness.taken().claimed) == 200


def test_a_lease_that_is_over_makes_records_of_a_dead_workers_claim(
    harness: ParcelHarness, hasty: ParcelHarness
) -> None:
    commands = [put("a"), put("b")]
    harness.submit(*commands)
    assert harness.open_late() == 0, "it was not taken"
    old = hasty.taken()
    assert wait_for(harness.open_late) == 1
    assert harness.parcels_open() == []
    assert sorted(woken(harness.ledger.due().wakes)) == sorted(command.ref for command in commands)
    claimed = harness.claim(*commands)
    assert [(c.attempt, c.takeover, c.seq, c.mark) for c in claimed] == [
        (2, True, c.seq, c.mark) for c in old.claimed
    ]
    assert [harness.client.hget(f"{SHARD}:op:{c.ref}", "crash") for c in commands] == [b"1", b"1"]


def test_a_lease_that_is_not_over_opens_nothing_whoever_asks(harness: ParcelHarness) -> None:
    harness.submit(put("a"))
    claims = harness.taken()
    assert harness.parcels.open_late([(SHARD, row) for row in late_of(harness)]) == 0
    assert harness.end(claims).refused == []


def test_a_holder_whose_commands_are_anothers_now_is_refused(
    harness: ParcelHarness, hasty: ParcelHarness
) -> None:
    mine, its = put("a"), put("b")
    harness.submit(mine, its)
    old = hasty.taken()
    wait_for(harness.open_late)
    [taken_over] = harness.claim(its)
    # What nobody claimed since is accepted as the end of a record.
    assert hasty.end(old).refused == [its.ref]
    found = harness.ledger.outcomes([mine.ref, its.ref])
    assert [outcome is not None for outcome in found] == [True, False]
    assert harness.finish(taken_over).refused == []
    totals = harness.ledger.totals()
    assert (totals["open"], totals["running"], totals["done"]) == (0, 0, 2)


def test_the_lease_of_what_runs_on_ends_when_that_of_its_parcel_would_have(
    harness: ParcelHarness, hasty: ParcelHarness
) -> None:
    quick, slow = put("a"), put("b")
    harness.submit(quick, slow)
    claims = hasty.taken()
    hasty.end_some(claims, quick)
    assert wait_for(lambda: woken(harness.ledger.due().wakes)) == [slow.ref]
    [again] = harness.claim(slow)
    assert (again.attempt, again.takeover) == (2, True)
    assert hasty.finish(claims.claimed[1]).refused == [slow.ref]


def test_what_kills_its_workers_ends_as_poison_and_its_neighbours_are_done(
    state: State,
) -> None:
    harness = ParcelHarness(state, lease=HASTY, max_attempts=9, max_deaths=3)
    commands = [put(f"k{n}") for n in range(25)]
    harness.submit(*commands)
    harness.taken()
    wait_for(harness.open_late)
    groups: dict[str, list[str]] = {}

    def all_woken() -> bool:
        for wake in harness.ledger.due().wakes:
            groups.setdefault(wake.group, []).append(wake.ticket.ref)
        return sum(map(len, groups.values())) == 25

    wait_for(all_woken)
    assert sorted(map(len, groups.values())) == [5, 10, 10], "one of them may have killed it"
    patient = ParcelHarness(state, max_attempts=9, max_deaths=3)
    patient.run(*commands[1:])
    poison = commands[0]
    harness.claim(poison)
    let_lease_end(HASTY)
    assert harness.claim(poison) == [], "after two deaths it runs apart from others"
    assert harness.ledger.totals()["done"] == 24


def test_the_fence_of_each_parcels_route_is_read_behind_the_take(
    harness: ParcelHarness,
) -> None:
    """A route change that was acknowledged before the take is seen, also of a scope that was not
    asked for."""
    harness.client.hset(FENCE_KEY, "object_store/t_a/dev", "1-a")
    harness.client.hset(FENCE_KEY, "policy/t_a", "p1")
    harness.submit(put("a"), put("a", tenant="t_b"))
    with round_trips() as trips:
        claims = harness.taken(scopes=["object_store/t_b/dev"])
    assert {c.command.tenant_id: c.fence for c in claims.claimed} == {"t_a": "1-a", "t_b": None}
    assert claims.policies == {"t_a": "p1", "t_b": None}
    assert [name for trip in trips for name in trip][-3:] == ["EVALSHA", "HMGET", "HMGET"]
    harness.submit(put("b"))
    with round_trips() as trips:
        again = harness.taken(scopes=["object_store/t_a/dev", "object_store/t_b/dev"])
    assert [c.fence for c in again.claimed] == ["1-a"]
    assert trips == [["EVALSHA", "HMGET"]], "one round trip for scopes that were known"
