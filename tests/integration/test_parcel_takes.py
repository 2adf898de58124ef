"""Parcels that are taken: by whom, and for how long."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.clock import lease_clock
from signalbox.commands.exchange import exchange
from signalbox.commands.ledger.entry import Action, Claims
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.state import State
from tests.integration.parcel_desk import (
    HASTY,
    SHARD,
    Desk,
    commands_of,
    wait_for,
    woken,
)
from tests.integration.test_ledger import put


@pytest.fixture
def desk(state: State) -> Desk:
    return Desk(state)


@pytest.fixture
def hasty(state: State) -> Desk:
    """The same ledger for workers whose leases run out soon."""
    return Desk(state, lease=HASTY)


def wait_until_over(claims: Claims) -> None:
    while lease_clock() <= claims.claimed[0].deadline + 0.05:
        time.sleep(0.01)


def test_a_parcel_is_given_once(desk: Desk) -> None:
    desk.submit(put("a"))
    assert len(desk.taken().claimed) == 1
    assert desk.client.keys(f"{SHARD}:rdy:*") == []
    assert desk.taken().claimed == []
    assert desk.ledger.totals()["claimed"] == 1


def test_positions_that_were_left_out_never_run_from_the_parcel(hasty: Desk) -> None:
    known, busy, mine = put("a"), put("k"), put("b")
    hasty.submit(known, busy, as_records=True)
    behind = put("k", b"2")
    hasty.submit(known, behind, mine)
    assert commands_of(hasty.taken()) == [mine]
    assert wait_for(hasty.open_late) == 1
    assert hasty.behind("k") == [busy.ref, behind.ref], "each stands there once"
    [record] = hasty.ledger.records([behind.ref])
    assert record
    assert (record.state, record.worker) == ("queued", None)
    assert hasty.ledger.totals()["open"] == 4


def test_positions_that_were_left_out_do_not_leave_the_parcel_at_its_end(desk: Desk) -> None:
    busy, behind, mine = put("k"), put("k", b"2"), put("b")
    desk.submit(busy, as_records=True)
    desk.submit(behind, mine)
    desk.end(desk.taken(), {mine.ref: Action.RETRY})
    assert desk.behind("k") == [busy.ref, behind.ref]
    assert desk.behind("b") == [mine.ref]
    [record] = desk.ledger.records([behind.ref])
    assert record
    assert record.attempt == 0


def test_a_take_that_is_asked_again_gives_the_same_under_a_new_lease(state: State) -> None:
    desk = Desk(state, lease=timedelta(seconds=2))
    first, later = put("a"), put("b")
    desk.submit(first)
    claims = desk.taken("t1")
    [late] = late_of(desk)
    desk.submit(later)
    again = desk.taken("t1")
    assert commands_of(again) == [first], "what came later is not in the answer that was lost"
    assert again.claimed[0].deadline > claims.claimed[0].deadline
    assert again.claimed[0].attempt == 1
    [(_, until)] = desk.client.zrange(f"{SHARD}:pdue", 0, -1, withscores=True)
    assert int(until) > int(late[1].split()[1])
    wait_until_over(claims)
    # The reconciler looked before the take was asked again: the lease that it saw is no more.
    assert desk.parcels.open_late([(SHARD, late)]) == 0
    assert desk.end(again).refused == []
    assert desk.ledger.totals()["claimed"] == 1


def late_of(desk: Desk) -> list[tuple[bytes, bytes, bytes]]:
    """What due.lua gives of the parcels that are taken, once their lease is over."""
    names: Any = desk.client.zrange(f"{SHARD}:pdue", 0, -1)
    return [
        (
            name,
            desk.client.hget(f"{SHARD}:par", name.decode()),
            desk.client.get(f"{SHARD}:c:{name.decode()}"),
        )
        for name in names
    ]


def test_a_take_that_is_asked_again_gives_nothing_that_left_it_since(desk: Desk) -> None:
    desk.submit(put("a"))
    claims = desk.taken("t1")
    desk.end(claims)
    assert desk.taken("t1").claimed == []


def test_the_lease_grows_by_all_content_that_a_take_gives(desk: Desk) -> None:
    desk.submit(*[put(f"k{n}", b"x" * 60_000) for n in range(20)])
    started = lease_clock()
    claims = desk.taken()
    assert len(claims.parcels) > 1
    plain = desk.settings.lease.total_seconds()
    deadlines = {claimed.deadline for claimed in claims.claimed}
    assert len(deadlines) == 1
    assert deadlines.pop() - started - plain > 20 * 60_000 / (2 * 1024 * 1024) - 0.1


def test_a_take_gives_no_more_than_a_worker_runs_within_its_lease(state: State) -> None:
    desk = Desk(state, tenant_window=0)
    for n in range(6):
        desk.submit(*[put(f"k{n}-{m}") for m in range(100)])
    assert len(desk.taken().claimed) == 400
    assert len(desk.taken().claimed) == 200


def test_a_lease_that_is_over_makes_records_of_a_dead_workers_claim(
    desk: Desk, hasty: Desk
) -> None:
    commands = [put("a"), put("b")]
    desk.submit(*commands)
    assert desk.open_late() == 0, "it was not taken"
    old = hasty.taken()
    assert desk.open_late() == 0, "its lease is not over"
    assert wait_for(desk.open_late) == 1
    assert desk.parcels_open() == []
    assert sorted(woken(desk.ledger.due().wakes)) == sorted(command.ref for command in commands)
    claimed = desk.claim(*commands)
    assert [(c.attempt, c.takeover, c.seq, c.mark) for c in claimed] == [
        (2, True, c.seq, c.mark) for c in old.claimed
    ]
    assert [desk.client.hget(f"{SHARD}:op:{c.ref}", "crash") for c in commands] == [b"1", b"1"]


def test_a_lease_that_is_not_over_opens_nothing_whoever_asks(desk: Desk) -> None:
    desk.submit(put("a"))
    claims = desk.taken()
    assert desk.parcels.open_late([(SHARD, row) for row in late_of(desk)]) == 0
    assert desk.end(claims).refused == []


def test_a_holder_whose_commands_are_anothers_now_is_refused(desk: Desk, hasty: Desk) -> None:
    mine, its = put("a"), put("b")
    desk.submit(mine, its)
    old = hasty.taken()
    wait_for(desk.open_late)
    [taken_over] = desk.claim(its)
    # What nobody claimed since is accepted as the end of a record.
    assert hasty.end(old).refused == [its.ref]
    found = desk.ledger.outcomes([mine.ref, its.ref])
    assert [outcome is not None for outcome in found] == [True, False]
    assert desk.finish(taken_over).refused == []
    totals = desk.ledger.totals()
    assert (totals["open"], totals["running"], totals["done"]) == (0, 0, 2)


def test_the_lease_of_what_runs_on_ends_when_that_of_its_parcel_would_have(
    desk: Desk, hasty: Desk
) -> None:
    quick, slow = put("a"), put("b")
    desk.submit(quick, slow)
    claims = hasty.taken()
    hasty.end_some(claims, quick)
    assert wait_for(lambda: woken(desk.ledger.due().wakes)) == [slow.ref]
    [again] = desk.claim(slow)
    assert (again.attempt, again.takeover) == (2, True)
    assert hasty.finish(claims.claimed[1]).refused == [slow.ref]


def test_what_kills_its_workers_ends_as_poison_and_its_neighbours_are_done(
    state: State,
) -> None:
    desk = Desk(state, lease=HASTY, max_attempts=9, max_deaths=3)
    commands = [put(f"k{n}") for n in range(25)]
    desk.submit(*commands)
    desk.taken()
    wait_for(desk.open_late)
    groups: dict[str, list[str]] = {}

    def all_woken() -> bool:
        for wake in desk.ledger.due().wakes:
            groups.setdefault(wake.group, []).append(wake.ticket.ref)
        return sum(map(len, groups.values())) == 25

    wait_for(all_woken)
    assert sorted(map(len, groups.values())) == [5, 10, 10], "one of them may have killed it"
    patient = Desk(state, max_attempts=9, max_deaths=3)
    patient.run(*commands[1:])
    poison = commands[0]
    [claimed] = desk.claim(poison)
    wait_for(lambda: lease_clock() > claimed.deadline + 0.05)
    assert desk.claim(poison) == [], "after two deaths it runs apart from others"
    assert desk.ledger.totals()["done"] == 24


def test_the_fence_of_each_parcels_route_is_read_behind_the_take(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route change that was acknowledged before the take is seen, also of a scope that was not
    asked for."""
    desk.client.hset(FENCE_KEY, "object_store/t_a/dev", "1-a")
    desk.client.hset(FENCE_KEY, "policy/t_a", "p1")
    desk.submit(put("a"), put("a", tenant="t_b"))
    calls: list[str] = []

    def noted(parts: Any, units: Any, *more: Any) -> None:
        calls.extend(str(unit.commands[0][0]) for unit in units)
        exchange(parts, units, *more)

    monkeypatch.setattr("signalbox.commands.state.exchange", noted)
    claims = desk.taken(scopes=["object_store/t_b/dev"])
    assert {c.command.tenant_id: c.fence for c in claims.claimed} == {"t_a": "1-a", "t_b": None}
    assert claims.policies == {"t_a": "p1", "t_b": None}
    assert calls[-3:] == ["EVALSHA", "HMGET", "HMGET"]
    calls.clear()
    desk.submit(put("b"))
    calls.clear()
    again = desk.taken(scopes=["object_store/t_a/dev", "object_store/t_b/dev"])
    assert [c.fence for c in again.claimed] == ["1-a"]
    assert calls == ["EVALSHA", "HMGET"], "one round trip for scopes that were known"
