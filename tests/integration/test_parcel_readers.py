"""What people and other parts see of commands in parcels: outcomes, records, counts, leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from signalbox.commands.ledger import lease, op_id_sweep
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.ledger.lease import Held, Leases
from signalbox.commands.ledger.op_id_sweep import forget_old
from signalbox.commands.object_store import GetObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.state import State
from tests.integration.conftest import object_scope
from tests.integration.parcel_harness import (
    HASTY,
    PLACE,
    SHARD,
    ParcelHarness,
    let_lease_end,
    wait_for,
    woken,
)
from tests.integration.test_ledger import put

NEW, HELD = Acceptance.NEW, Acceptance.HELD


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


def test_a_command_is_seen_in_each_state_of_its_parcel(state: State) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    first, command, beside = put("first"), put("a", op_id="one"), put("b")

    def seen() -> tuple[Any, ...]:
        [record] = harness.ledger.records([command.ref])
        totals = harness.ledger.totals()
        assert record
        counts = tuple(totals.get(name, 0) for name in ("open", "held", "running", "done"))
        assert harness.ledger.find("one") == [command.ref]
        assert harness.ledger.outcomes([command.ref]) == [record.outcome]
        return record.state, record.attempt, record.worker, *counts

    harness.submit(first)
    [_, receipt] = [*harness.receipts(put("held")), *harness.receipts(command)]
    harness.submit(beside)
    assert seen() == ("queued", 0, None, 4, 3, 0, 0)
    harness.end(harness.taken())
    harness.end(harness.taken())
    assert harness.ledger.totals()["held"] == 1
    assert seen() == ("queued", 0, None, 2, 1, 0, 2)
    claims = harness.taken(worker="w7")
    assert seen() == ("running", 1, "w7", 2, 1, 1, 2)
    harness.end(claims)
    assert seen() == ("done", 1, "w", 1, 0, 0, 3)
    [record] = harness.ledger.records([command.ref])
    assert record
    assert (record.op, record.seq) == (command.op, receipt.seq)
    assert record.began
    assert record.ended
    assert record.began < record.ended
    assert abs(record.accepted_at.timestamp() - time.time()) < 600


def test_places_among_all_claims_tell_what_ran_before_what(harness: ParcelHarness) -> None:
    commands = [put("a"), put("b"), put("c")]
    harness.submit(*commands)
    harness.end(harness.taken())
    later = put("a", b"2")
    harness.submit(later, as_records=True)
    harness.run(later)
    records = harness.ledger.records([command.ref for command in (*commands, later)])
    began = [record.began for record in records if record and record.began]
    ended = [record.ended for record in records if record and record.ended]
    assert began == sorted(set(began))
    assert len(began) == len(ended) == 4
    assert max(ended[:3]) < began[3], "what follows on a key began when this had ended"


def test_what_was_left_out_is_seen_as_its_record(harness: ParcelHarness) -> None:
    busy, behind, mine = put("a"), put("a", b"2"), put("b")
    harness.submit(busy, as_records=True)
    harness.submit(behind, mine)
    harness.end(harness.taken())
    found = harness.ledger.records([behind.ref, mine.ref])
    assert [record and record.state for record in found] == ["queued", "done"]
    assert [outcome is None for outcome in harness.ledger.outcomes([behind.ref, mine.ref])] == [
        True,
        False,
    ]


def test_outcomes_are_found_wherever_they_stand_in_the_order_that_was_asked(
    harness: ParcelHarness,
) -> None:
    parcels = [[put(f"{name}{n}") for n in range(3)] for name in "ab"]
    for commands in parcels:
        harness.submit(*commands)
    claims = harness.taken()
    again, dead = parcels[0][0], parcels[1][2]
    harness.end(claims, {again.ref: Action.RETRY, dead.ref: Action.DEAD})
    record, waiting, other = put("r"), put("w"), put("a", tenant="t_b")
    harness.submit(record, other, as_records=True)
    harness.run(record)
    harness.submit(waiting)
    asked = [waiting, dead, *parcels[1][:2], record, again, *parcels[0][1:], other, waiting]
    unknown = "t_a/dev/unknown"
    outcomes = harness.ledger.outcomes([unknown, *(command.ref for command in asked)])
    ended = {c.op_id for c in (dead, *parcels[1][:2], record, *parcels[0][1:])}
    assert [outcome.op_id if outcome else None for outcome in outcomes] == [
        None,
        *(command.op_id if command.op_id in ended else None for command in asked),
    ]
    assert [outcome.seq for outcome in outcomes if outcome] == [
        record.seq
        for record in harness.ledger.records([c.ref for c in asked if c.op_id in ended])
        if record
    ]


def test_a_record_is_found_also_where_it_leaves_its_parcel_meanwhile(
    harness: ParcelHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = put("a")
    harness.submit(command)
    claims = harness.taken()
    look = harness.ledger._in_parcel

    def leaves(ref: str, entry: bytes) -> Any:
        harness.end(claims, {command.ref: Action.RETRY})
        return look(ref, entry)

    monkeypatch.setattr(harness.ledger, "_in_parcel", leaves)
    [record] = harness.ledger.records([command.ref])
    assert record
    assert (record.state, record.attempt) == ("queued", 1)


def test_what_is_late_counts_as_overdue(state: State) -> None:
    harness = ParcelHarness(state, lease=HASTY)
    harness.submit(put("a"), put("b"))
    assert harness.ledger.totals()["overdue"] == 0
    harness.taken()
    wait_for(lambda: harness.ledger.totals()["overdue"])


def test_who_reads_content_from_within_a_parcel_moves_its_lease_on(state: State) -> None:
    lease = timedelta(milliseconds=400)
    harness = ParcelHarness(state, lease=lease)
    read = GetObject(tenant_id="t_a", env="dev", key="a")
    beside = GetObject(tenant_id="t_a", env="dev", key="b")
    harness.submit(read, beside)
    claims = harness.taken("t1")
    assert harness.ledger.renew(read.ref, "t1", 3600)
    assert not harness.ledger.renew(read.ref, "another", 3600)
    assert not harness.ledger.renew("t_a/dev/unknown", "t1", 3600)
    let_lease_end(lease)
    assert harness.ledger.due().late == []
    # One that runs on as a record has the lease of its parcel, and then its own moved on.
    harness.end_some(claims, beside)
    assert harness.claim(read) == []
    assert harness.ledger.renew(read.ref, "t1", 3600)
    assert harness.ledger.due().wakes == []
    assert harness.finish(claims.claimed[0]).refused == []
    assert not harness.ledger.renew(read.ref, "t1", 3600)
    assert not harness.ledger.renew(beside.ref, "t1", 3600)


def leases(harness: ParcelHarness) -> Leases:
    return Leases(harness.connection, object_scope("t_a"))


def test_a_route_is_drained_when_the_parcels_that_were_taken_have_ended(
    harness: ParcelHarness,
) -> None:
    asked = leases(harness)
    harness.submit(put("a"), put("b"))
    harness.submit(put("a", tenant="t_b"))
    assert asked.held() == []
    claims = harness.taken()
    [held] = asked.held()
    assert held.ref == str(claims.parcels[0].name)
    harness.submit(put("c"))
    harness.taken()
    assert asked.still([held]) == [held]
    ours = [parcel for parcel in claims.parcels if parcel.tenant_env == PLACE]
    claims.parcels[:] = ours
    claims.claimed[:] = [c for c in claims.claimed if c.command.tenant_id == "t_a"]
    harness.end(claims)
    assert asked.still([held]) == []
    metrics = Scope(kind=ResourceKind.METRICS_STORE, tenant_id="t_a", env="dev")
    assert Leases(harness.connection, metrics).held() == []


def test_what_left_its_parcel_keeps_a_route_from_being_drained(harness: ParcelHarness) -> None:
    quick, slow = put("a"), put("b")
    harness.submit(quick, slow)
    claims = harness.taken()
    held = leases(harness).held()
    harness.end_some(claims, quick)
    left = leases(harness).still(held)
    assert [each.ref for each in left] == [slow.ref]
    assert left == leases(harness).still(left)
    harness.finish(claims.claimed[1])
    assert leases(harness).still(left) == []


def test_a_route_is_drained_step_by_step_while_a_parcel_is_opened(harness: ParcelHarness) -> None:
    quick, slow = put("a"), put("b")
    harness.submit(quick, slow)
    claims = harness.taken()
    steps: Iterator[list[Held]] = leases(harness).drained(timedelta(minutes=1))
    assert len(next(steps)) == 1
    harness.end_some(claims, quick)
    assert [each.ref for each in next(steps)] == [slow.ref]
    harness.finish(claims.claimed[1])
    assert list(islice(steps, 2)) == [[]]


def test_what_a_lost_worker_sent_may_still_take_effect_after_its_lease(
    harness: ParcelHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LATE_MS", 3_600_000)
    hasty = ParcelHarness(harness.connection, lease=HASTY)
    command = put("a")
    harness.submit(command)
    hasty.taken()
    held = leases(harness).held()
    wait_for(harness.open_late)
    [claimed] = harness.claim(command)
    harness.finish(claimed)
    left = leases(harness).still(held)
    assert held[0] in left
    monkeypatch.setattr(lease, "LATE_MS", 1)
    wait_for(lambda: leases(harness).still(left) == [])


def test_a_sweep_forgets_op_ids_of_which_nothing_is_left_and_no_others(
    state: State,
) -> None:
    harness = ParcelHarness(state, tenant_window=1)
    done, gone, ready, held, taken = (put(name, op_id=name) for name in "abcde")
    for command in (done, gone, taken):
        ParcelHarness(state, tenant_window=0).submit(command)
    claims = harness.taken()
    for parcel, claimed in zip(claims.parcels[:2], claims.claimed[:2], strict=True):
        one = type(claims)(parcels=[parcel], claimed=[claimed])
        harness.end(one)
    ParcelHarness(state, tenant_window=0).submit(ready)
    assert harness.submit(held) == [HELD]
    state.server().delete(f"{SHARD}:o:{claims.parcels[1].name}")
    everything = {c.op_id.encode() for c in (done, gone, ready, held, taken)}
    assert set(harness.client.hkeys(f"{SHARD}:ids:{PLACE}")) == everything
    assert forget_old(state, timedelta(hours=1)) == 0, "what is young is not looked at"
    let_lease_end(timedelta(milliseconds=1))  # so that all of them are older than now
    assert forget_old(state, timedelta(0)) == 1
    assert set(harness.client.hkeys(f"{SHARD}:ids:{PLACE}")) == everything - {b"b"}
    assert harness.submit(gone) == [HELD]
    assert harness.submit(done, ready, held, taken) == [Acceptance.KNOWN] * 4


def leftovers(harness: ParcelHarness, places: int, entries: int) -> None:
    """Op_ids of so many tenants whose parcels, and all outcomes of them, are gone."""
    for number in range(places):
        place = f"t_{number}/dev"
        shard = harness.ledger.shards.shard(f"t_{number}", "dev")
        gone = {f"op-{n}": f"{n + 1}.0:0123456789abcdef" for n in range(entries)}
        harness.client.hset(f"{shard}:ids:{place}", mapping=gone)
        harness.client.hset(f"{shard}:open", place, 0)


def test_a_sweep_of_a_large_ledger_looks_at_a_part_of_it(
    harness: ParcelHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(op_id_sweep, "LOOKED_AT_LEAST", 3)
    leftovers(harness, places=40, entries=9)
    part = forget_old(harness.connection, timedelta(0))
    assert part == 2 * 9, "as many places as have a 36th of all together"
    for _ in range(40):
        forget_old(harness.connection, timedelta(0))
    assert harness.client.keys("*:ids:*") == []


def test_a_sweep_does_not_look_at_the_keys_of_others(harness: ParcelHarness) -> None:
    leftovers(harness, places=3, entries=2)
    harness.client.mset({f"another:{number}": "" for number in range(5_000)})
    calls = calls_of(harness, lambda: forget_old(harness.connection, timedelta(0)))
    assert "scan" not in calls
    assert harness.client.keys("*:ids:*") == []


def calls_of(harness: ParcelHarness, step: Callable[[], object]) -> dict[str, int]:
    """The commands that Redis runs in this step, those of scripts among them."""
    harness.client.config_resetstat()
    step()
    stats = harness.client.info("commandstats")
    counts = {name.removeprefix("cmdstat_"): its["calls"] for name, its in stats.items()}
    return {
        name: calls for name, calls in counts.items() if not name.startswith(("config", "info"))
    }


def test_many_commands_are_as_many_calls_of_redis_as_few(harness: ParcelHarness) -> None:
    def counted(rows: int, name: str) -> list[dict[str, int]]:
        commands = [put(f"{name}{n}", str(n).encode()) for n in range(rows)]
        found = [calls_of(harness, lambda: harness.submit(*commands))]
        claims: list[Any] = []
        found.append(calls_of(harness, lambda: claims.append(harness.taken(scopes=[SCOPE]))))
        assert len(claims[0].claimed) == rows
        found.append(calls_of(harness, lambda: harness.end(claims[0])))
        return found

    counted(3, "warm")
    few, many = counted(10, "few"), counted(100, "many")
    assert few == many
    assert all(sum(calls.values()) < 40 for calls in many), many


SCOPE = "object_store/t_a/dev"


def test_what_leaves_a_parcel_is_due_with_its_lease(harness: ParcelHarness) -> None:
    quick, slow = put("a"), put("b")
    harness.submit(quick, slow)
    claims = harness.taken()
    [(_, until)] = harness.client.zrange(f"{SHARD}:pdue", 0, -1, withscores=True)
    harness.end_some(claims, quick)
    assert harness.client.zscore(f"{SHARD}:due", slow.ref) == until
    assert woken(harness.ledger.due().wakes) == []


def of_damaged_outcomes(harness: ParcelHarness) -> str:
    """The ref of a command that is done, and whose outcome cannot be read."""
    command = put("a", op_id="damaged")
    harness.submit(command)
    harness.end(harness.taken())
    [key] = harness.client.keys(f"{SHARD}:o:*")
    content = bytearray(harness.client.get(key))
    content[-1] ^= 1
    harness.client.set(key, bytes(content))
    return command.ref


def test_a_lease_lasts_for_the_one_command_that_needs_it_longest(harness: ParcelHarness) -> None:
    """Moved on for each, a dead worker's parcel would wait for as long as all of them together."""
    reads = [GetObject(tenant_id="t_a", env="dev", key=f"k{n}") for n in range(50)]
    harness.submit(*reads)
    harness.taken("t")
    [before] = Leases(harness.connection, object_scope("t_a")).held()
    for _ in range(2):  # an answer that was lost is asked for again
        for read in reads:
            assert harness.ledger.renew(read.ref, "t", 7200)
    [held] = Leases(harness.connection, object_scope("t_a")).held()
    assert 3_000_000 < held.until - before.until < 7_200_000


def code_of(outcome: Outcome | None) -> str:
    return outcome.error.code if outcome and outcome.error else ""


def test_damaged_outcomes_keep_no_other_outcome_back(harness: ParcelHarness) -> None:
    damaged, other = of_damaged_outcomes(harness), put("b")
    harness.submit(other)
    harness.end(harness.taken())
    bad, good = harness.ledger.outcomes([damaged, other.ref])
    assert good
    assert good.status is Status.DONE
    assert bad
    assert (code_of(bad), bad.status, bad.op_id) == ("LEDGER_DAMAGED", Status.FAILED, "damaged")
    [record] = harness.ledger.records([damaged])
    assert record
    assert (record.state, code_of(record.outcome)) == ("done", "LEDGER_DAMAGED")
    [key] = set(harness.client.keys(f"{SHARD}:o:*")) - {f"{SHARD}:o:{good.seq}".encode()}
    harness.client.set(key, b"nothing")
    assert code_of(harness.ledger.outcomes([damaged])[0]) == "LEDGER_DAMAGED"


def test_a_repeat_of_what_has_a_damaged_outcome_keeps_no_other_from_being_submitted(
    harness: ParcelHarness,
) -> None:
    of_damaged_outcomes(harness)
    again, new = harness.receipts(put("a", op_id="damaged"), put("b"))
    assert (again.acceptance, new.acceptance) == (Acceptance.KNOWN, NEW)
    assert code_of(again.outcome) == "LEDGER_DAMAGED"


def test_a_command_in_damaged_content_is_seen_as_open(harness: ParcelHarness) -> None:
    commands = [put("a"), put("b")]
    harness.submit(*commands)
    [key] = harness.client.keys(f"{SHARD}:c:*")
    harness.client.set(key, b"nothing")
    records = harness.ledger.records([command.ref for command in commands])
    assert [record and (record.state, record.op) for record in records] == [
        ("queued", "object_store.unknown")
    ] * 2
