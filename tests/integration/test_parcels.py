"""What is accepted in parcels: op_ids that are known, numbers, what is left out."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.ledger.parcel_end import MAX_ANNOUNCED
from signalbox.commands.ledger.parcel_outcome import announced
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import HeadObject
from signalbox.commands.state import State
from tests.integration.parcel_harness import (
    HASTY,
    PLACE,
    SHARD,
    ParcelHarness,
    commands_of,
    end_of,
    token_of,
    wait_for,
    woken,
)
from tests.integration.test_ledger import put

NEW, KNOWN, CONFLICT = Acceptance.NEW, Acceptance.KNOWN, Acceptance.CONFLICT


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


def points(op_id: str, value: float = 1.0) -> IngestPoints:
    """A write without a key."""
    point = Point(series="s", timestamp=datetime(2026, 1, 1, tzinfo=UTC), value=value)
    return IngestPoints(tenant_id="t_a", env="dev", op_id=op_id, points=[point])


def test_what_is_ordinary_shares_a_parcel_from_its_acceptance_to_its_end(
    harness: ParcelHarness,
) -> None:
    commands = [put("a"), put("b"), put("a", b"2")]
    receipts = harness.receipts(*commands)
    [name] = harness.parcels_open()
    assert [(r.acceptance, r.seq) for r in receipts] == [(NEW, name + n) for n in range(3)]
    assert not any(harness.has_record(command) for command in commands)
    claims = harness.taken()
    assert commands_of(claims) == commands, "as accepted, also on one key"
    assert [(c.seq, c.mark, c.attempt, c.takeover) for c in claims.claimed] == [
        (name + n, name + n, 1, False) for n in range(3)
    ]
    assert (harness.end(claims).refused, harness.end(claims).wakes) == ([], [])
    outcomes = harness.ledger.outcomes([command.ref for command in commands])
    assert [outcome and outcome.op_id for outcome in outcomes] == [c.op_id for c in commands]
    # Nothing stays but the outcomes, who they are of, and counts.
    assert harness.keys() == {"o", "ids", "open", "count", "seq", "clock", "era", "took"}
    assert {int(n) for n in harness.client.hvals(f"{SHARD}:open")} == {0}


def ready(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command)


def held(harness: ParcelHarness, command: Command) -> None:
    ParcelHarness(harness.connection, tenant_window=1).submit(put("first"), put("second"))
    assert ParcelHarness(harness.connection, tenant_window=1).submit(command) == [Acceptance.HELD]


def taken(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command)
    harness.taken()


def done(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command)
    harness.end(harness.taken())


def unpacked(harness: ParcelHarness, command: Command) -> None:
    harness.submit(put("other"), command)
    claims = harness.taken()
    harness.end_some(claims, claims.claimed[0].command)


def waits_for_a_retry(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command)
    harness.end(harness.taken(), {command.ref: Action.RETRY})


def done_after_a_retry(harness: ParcelHarness, command: Command) -> None:
    waits_for_a_retry(harness, command)
    harness.run(command)


def dead(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command)
    harness.end(harness.taken(), {command.ref: Action.DEAD})


def record(harness: ParcelHarness, command: Command) -> None:
    harness.submit(command, as_records=True)


PLACES = [
    *(ready, held, taken, done),
    *(unpacked, waits_for_a_retry, done_after_a_retry, dead, record),
]
ENDED = (done, done_after_a_retry, dead)


@pytest.mark.parametrize("as_records", [False, True])
@pytest.mark.parametrize("stand", PLACES, ids=lambda place: place.__name__)
def test_an_op_id_is_known_wherever_its_command_stands(
    harness: ParcelHarness, stand: Callable[[ParcelHarness, Command], None], as_records: bool
) -> None:
    command = put("a", op_id="one")
    stand(harness, command)
    before = harness.ledger.totals()
    [known] = harness.ledger.records([command.ref])
    [receipt] = harness.receipts(command, as_records=as_records)
    assert known
    assert (receipt.acceptance, receipt.seq) == (KNOWN, known.seq)
    assert (receipt.outcome is not None) == (stand in ENDED)
    other = put("a", b"other", op_id="one")
    assert harness.submit(other, as_records=as_records) == [CONFLICT]
    elsewhere = put("a", op_id="one", tenant="t_b")
    assert harness.submit(elsewhere, as_records=as_records) == [NEW]
    now = harness.ledger.totals()
    assert now == before | {
        **{name: before.get(name, 0) + 1 for name in ("open", "accepted")},
        "overdue": now["overdue"],  # a retry that is due at once is, from the next millisecond on
    }


def test_an_op_id_that_comes_twice_in_one_submit_is_accepted_once(harness: ParcelHarness) -> None:
    first, other = put("a", op_id="one"), put("a", b"2", op_id="one")
    assert harness.submit(first, first, other) == [NEW, KNOWN, CONFLICT]
    assert harness.submit(points("p"), points("p"), points("p", 2.0)) == [NEW, KNOWN, CONFLICT]
    assert harness.ledger.totals()["open"] == 2


def test_a_known_command_leaves_those_beside_it_in_their_parcel(harness: ParcelHarness) -> None:
    known, new = put("a"), put("b")
    harness.submit(known)
    assert harness.submit(known, new) == [KNOWN, NEW]
    assert commands_of(harness.taken()) == [known, new]


@pytest.mark.parametrize("as_records", [False, True])
def test_an_op_id_counts_for_nothing_when_its_outcome_is_gone(
    harness: ParcelHarness, as_records: bool
) -> None:
    command = put("a", op_id="one")
    done(harness, command)
    [outcomes] = harness.client.keys(f"{SHARD}:o:*")
    harness.client.delete(outcomes)
    assert harness.ledger.records([command.ref]) == [None]
    assert harness.submit(command, as_records=as_records) == [NEW]


@pytest.mark.parametrize("as_records", [False, True])
def test_a_purged_dead_letter_of_a_parcel_may_be_submitted_anew(
    harness: ParcelHarness, as_records: bool
) -> None:
    command, beside = put("a"), put("b")
    harness.submit(command, beside)
    harness.end(harness.taken(), {command.ref: Action.DEAD})
    letters = DeadLetters(harness.connection, harness.settings)
    assert letters.purge([command.ref]) == [command.ref]
    assert harness.submit(command, beside, as_records=as_records) == [NEW, KNOWN]


@pytest.mark.parametrize("way", ["in the parcel", "as a record"])
def test_who_submits_again_is_told_of_the_end_as_well(harness: ParcelHarness, way: str) -> None:
    command, beside = put("a"), put("b")
    asked = harness.client.pubsub(ignore_subscribe_messages=True)
    asked.subscribe("first", "second")
    harness.accept(command, beside, reply_to="first")
    harness.accept(command, reply_to="second")
    claims = harness.taken()
    if way == "in the parcel":
        harness.end(claims)
    else:
        harness.end_some(claims, beside)
        harness.finish(claims.claimed[0])
    told: dict[str, set[str]] = {"first": set(), "second": set()}

    def heard() -> bool:
        message = asked.get_message(timeout=0.05)
        if message is not None:
            outcomes, refs = announced(message["data"])
            told[message["channel"].decode()] |= {outcome.ref for outcome in outcomes} | set(refs)
        return all(command.ref in refs for refs in told.values())

    wait_for(heard)
    asked.close()


def test_numbers_are_above_the_time_and_the_counter_and_one_for_each_command(
    harness: ParcelHarness,
) -> None:
    [time_before] = [int(harness.client.time()[0]) * 1_000_000]
    first = harness.receipts(put("a"), put("b"))
    second = harness.receipts(put("c"), put("d"))
    numbers = [receipt.seq for receipt in (*first, *second)]
    assert numbers[0] > time_before, "a ledger begun anew does not count below what there was"
    assert numbers == sorted(set(numbers))
    ahead = numbers[-1] + 10**12
    harness.client.set(f"{SHARD}:seq", ahead)
    assert [r.seq for r in harness.receipts(put("e"), put("f"))] == [ahead + 1, ahead + 2]
    assert [r.seq for r in harness.receipts(put("g"), as_records=True)] == [ahead + 3]


def test_what_is_left_out_leaves_a_gap_in_the_numbers(harness: ParcelHarness) -> None:
    known = put("a")
    harness.submit(known, as_records=True)
    _, left, right = receipts = harness.receipts(known, put("b"), put("c"))
    assert [r.acceptance for r in receipts] == [KNOWN, NEW, NEW]
    assert right.seq == left.seq + 1
    assert [c.seq for c in harness.taken().claimed] == [left.seq, right.seq]
    [later] = harness.receipts(put("d"))
    assert later.seq > right.seq


def test_content_that_is_large_and_what_comes_behind_it_on_its_key_stay_in_order(
    harness: ParcelHarness,
) -> None:
    before, large, behind = put("a"), put("a", b"x" * 100_000), put("a", b"3")
    other = put("b")
    assert harness.submit(before, large, behind, other) == [NEW] * 4
    assert commands_of(harness.taken()) == [other]
    assert commands_of_records(harness, behind, large, before) == [before]
    assert harness.waiting_on("a") == [before.ref, large.ref, behind.ref]


def commands_of_records(harness: ParcelHarness, *commands: Command) -> list[Command]:
    return [claimed.command for claimed in harness.claim(*commands)]


def test_beyond_what_a_tenant_may_have_open_nothing_is_accepted(state: State) -> None:
    harness = ParcelHarness(state, max_open=5)
    assert harness.submit(*[put(f"a{n}") for n in range(3)]) == [NEW] * 3
    more = [put(f"b{n}") for n in range(3)]
    assert harness.submit(*more) == [NEW, NEW, Acceptance.FULL]
    assert harness.ledger.totals()["open"] == 5
    harness.end(harness.taken())
    assert harness.submit(more[2]) == [NEW]


def test_what_a_parcel_leaves_out_is_not_overtaken_by_the_next_one_of_its_submit(
    harness: ParcelHarness,
) -> None:
    """A submit of more than a parcel: the first leaves a key out, the next one has it too."""
    known = put("hot", b"0")
    done(harness, known)
    first, filling, last = put("hot", b"1"), [put(f"k{n}") for n in range(100)], put("hot", b"2")
    harness.submit(known, first, *filling, last)
    claims = harness.taken()
    assert [c for c in commands_of(claims) if c.subject == "hot"] == []
    assert harness.waiting_on("hot") == [first.ref, last.ref]


def test_where_a_parcel_does_not_fit_the_next_one_overtakes_nothing(state: State) -> None:
    harness = ParcelHarness(state, max_open=50)
    commands = [put("hot", b"1"), *(put(f"k{n}") for n in range(99)), put("hot", b"2")]
    accepted = harness.submit(*commands)
    assert accepted == [NEW] * 50 + [Acceptance.FULL] * 51
    assert harness.waiting_on("hot") == [commands[0].ref]


def test_reads_have_no_key_and_stand_in_parcels_of_their_own(harness: ParcelHarness) -> None:
    write, read = put("a"), HeadObject(tenant_id="t_a", env="dev", key="a")
    harness.submit(write, read, read.model_copy(update={"op_id": "again"}))
    assert len(harness.parcels_open()) == 2
    claims = harness.taken()
    assert len(claims.claimed) == 3
    harness.end(claims)
    kept = {c.command.ref: harness.client.pttl(outcomes_of(harness, c.seq)) for c in claims.claimed}
    reads = harness.settings.read_retention.total_seconds() * 1000
    assert kept[write.ref] > reads >= kept[read.ref] > 0


def outcomes_of(harness: ParcelHarness, seq: int) -> str:
    found = sorted(
        int(key.decode().rpartition(":")[2]) for key in harness.client.keys(f"{SHARD}:o:*")
    )
    return f"{SHARD}:o:{max(name for name in found if name <= seq)}"


def test_each_scope_has_parcels_of_its_own(harness: ParcelHarness) -> None:
    harness.submit(points("p"), put("a"), put("a", tenant="t_b"))
    parcels = harness.taken().parcels
    assert Shards(16).shard("t_b", "dev") == SHARD, "else it is not among these"
    scopes = [(parcel.tenant_env, parcel.kind) for parcel in parcels]
    assert scopes == [
        (PLACE, "metrics_store"),
        (PLACE, "object_store"),
        ("t_b/dev", "object_store"),
    ]


def test_the_outcome_of_a_parcel_is_gone_after_its_time(state: State) -> None:
    harness = ParcelHarness(state, outcome_retention=HASTY)
    command, kept = put("a"), put("b")
    done(ParcelHarness(state), kept)
    done(harness, command)
    wait_for(lambda: harness.ledger.outcomes([command.ref]) == [None])
    assert harness.ledger.outcomes([kept.ref]) != [None]
    assert harness.submit(command) == [NEW]


def test_records_that_wait_are_woken_by_name_and_parcels_by_a_ring(harness: ParcelHarness) -> None:
    first = put("a")
    harness.submit(first)
    behind = put("a", b"2")
    assert woken(harness.accept(behind).wakes) == [behind.ref]
    assert harness.ledger.totals()["open"] == 2
    assert timedelta(0) < harness.settings.publish_grace


@pytest.mark.parametrize("size", [1, MAX_ANNOUNCED])
def test_outcomes_are_announced_themselves_unless_they_are_large(
    harness: ParcelHarness, size: int
) -> None:
    command = put("a")
    asked = harness.client.pubsub(ignore_subscribe_messages=True)
    asked.subscribe("first")
    harness.accept(command, reply_to="first")
    claims = harness.taken()
    finish = end_of(claims.claimed[0])
    assert finish.outcome is not None
    # Chance does not deflate.
    outcome = finish.outcome.model_copy(update={"result": {"text": random_text(size)}})
    harness.parcels.end(token_of(claims), claims.parcels, [replace(finish, outcome=outcome)])
    heard: list[bytes] = []

    def hear() -> bool:
        if message := asked.get_message(timeout=0.05):
            heard.append(message["data"])
        return bool(heard)

    wait_for(hear)
    asked.close()
    outcomes, refs = announced(heard[0])
    if size == 1:
        assert (outcomes, refs) == (harness.ledger.outcomes([command.ref]), [])
    else:
        assert (outcomes, refs) == ([], [command.ref])


def random_text(size: int) -> str:
    return base64.b85encode(random.Random(1).randbytes(size)).decode()
