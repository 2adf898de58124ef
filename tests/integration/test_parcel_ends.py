"""What ends parcels: what is done, what leaves them, and who may say so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action, Claims
from signalbox.commands.ledger.usage import Usage, UsageBook
from signalbox.commands.scope import Scope
from signalbox.commands.state import State
from tests.integration.conftest import object_scope
from tests.integration.parcel_harness import (
    SHARD,
    ParcelHarness,
    end_of,
    token_of,
    wait_for,
    with_usage,
)
from tests.integration.test_ledger import put


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


def test_an_end_of_another_token_changes_nothing(harness: ParcelHarness) -> None:
    command = put("a")
    harness.submit(command)
    claims = harness.taken()
    before = harness.client.hgetall(f"{SHARD}:par")
    other = end_of(claims.claimed[0])
    assert harness.parcels.end("another", claims.parcels, [other]).refused == [command.ref]
    assert harness.client.hgetall(f"{SHARD}:par") == before
    assert harness.ledger.outcomes([command.ref]) == [None]
    assert harness.end(claims).refused == []


def test_an_end_of_what_was_never_taken_changes_nothing(harness: ParcelHarness) -> None:
    harness.submit(put("a"))
    claims = harness.taken()
    name = claims.parcels[0].name
    fields = str(harness.client.hget(f"{SHARD}:par", str(name)), "ascii").split(" ", 3)
    ready = " ".join(["q", "0", "-", fields[3]])
    harness.client.hset(f"{SHARD}:par", str(name), ready)
    assert len(harness.end(claims).refused) == 1
    assert harness.state(name) == "q"


def test_an_end_that_is_told_again_is_accepted_and_counted_once(harness: ParcelHarness) -> None:
    commands = [put("a"), put("b"), put("c")]
    harness.submit(*commands)
    claims = harness.taken()
    use = Usage(scope="object_store/t_a/dev", writes=1, objects=1, bytes=7)
    ends = [with_usage(end_of(claimed), use) for claimed in claims.claimed]
    for _ in range(2):
        assert harness.parcels.end(token_of(claims), claims.parcels, ends).refused == []
    totals = harness.ledger.totals()
    assert (totals["done"], totals["running"], totals["open"]) == (3, 0, 0)
    scope: Scope = object_scope("t_a")
    book = UsageBook(harness.connection)
    assert stored(book, scope) == (3, 21)


def stored(book: UsageBook, scope: Scope) -> tuple[int | None, int | None]:
    use = book.read([scope])[0]
    return use.objects, use.bytes


@pytest.mark.parametrize(
    ("action", "becomes", "attempt"),
    [
        (Action.RETRY, "queued", 1),
        (Action.PARK, "queued", 1),
        (Action.RELEASE, "queued", 0),
        (Action.PACE, "queued", 0),
        (Action.DEAD, "dead", 1),
    ],
)
def test_what_is_not_done_leaves_the_parcel_as_a_record_with_its_end(
    harness: ParcelHarness, action: Action, becomes: str, attempt: int
) -> None:
    done, other = put("a"), put("b")
    harness.submit(done, other)
    claims = harness.taken()
    assert harness.end(claims, {other.ref: action}).refused == []
    ended, record = harness.ledger.records([done.ref, other.ref])
    assert ended
    assert record
    assert (ended.state, ended.seq, ended.attempt) == ("done", claims.claimed[0].seq, 1)
    assert (record.state, record.seq, record.attempt) == (becomes, claims.claimed[1].seq, attempt)
    assert (record.began or 0) > 0
    assert harness.parcels_open() == []
    totals = harness.ledger.totals()
    assert (totals["open"], totals["running"]) == (int(becomes == "queued"), 0)
    assert totals[action.value] == 1
    if becomes == "queued":
        [again] = harness.claim(other)
        assert (again.command, again.mark) == (other, claims.claimed[1].mark)
        assert again.attempt == attempt + 1


def test_a_parcel_of_which_nothing_is_done_ends_without_outcomes(harness: ParcelHarness) -> None:
    command = put("a")
    harness.submit(command)
    claims = harness.taken()
    for _ in range(2):
        harness.end(claims, {command.ref: Action.RETRY})
        assert harness.client.keys(f"{SHARD}:o:*") == []
    assert harness.waiting_on("a") == [command.ref]
    assert harness.ledger.totals()["open"] == 1


def test_what_an_end_does_not_name_runs_on_under_the_same_token(harness: ParcelHarness) -> None:
    quick, slow, failing = put("a"), put("b"), put("c")
    harness.submit(quick, slow, failing)
    claims = harness.taken()
    assert harness.end_some(claims, quick).refused == []
    assert [outcome is None for outcome in harness.ledger.outcomes([quick.ref, slow.ref])] == [
        False,
        True,
    ]
    [record] = harness.ledger.records([slow.ref])
    assert record
    assert (record.state, record.worker, record.attempt) == ("running", "w", 1)
    assert harness.claim(slow, failing) == [], "its lease goes on"
    assert harness.finish(claims.claimed[1]).refused == []
    assert harness.finish(claims.claimed[2], action=Action.DEAD).refused == []
    totals = harness.ledger.totals()
    assert (totals["open"], totals["running"], totals["done"], totals["dead"]) == (0, 0, 2, 1)


def test_two_parcels_of_one_take_end_as_each_of_them_does(harness: ParcelHarness) -> None:
    first, second = put("a"), put("b")
    assert harness.submit(first) == harness.submit(second) == [Acceptance.NEW]
    claims = harness.taken()
    assert len(claims.parcels) == 2
    one = Claims(parcels=claims.parcels[:1], claimed=claims.claimed[:1])
    assert harness.end(one).refused == []
    assert harness.end(claims).refused == []
    assert harness.ledger.totals()["done"] == 2


def test_a_parcel_ends_also_where_no_outcome_is_to_be_kept(state: State) -> None:
    harness = ParcelHarness(state, outcome_retention=timedelta(0))
    harness.submit(put("a"), put("b"))
    assert harness.end(harness.taken()).refused == []
    assert harness.ledger.totals()["open"] == 0


def test_what_is_taken_without_a_lease_is_late_at_once(state: State) -> None:
    harness = ParcelHarness(state, lease=timedelta(0))
    command = put("a")
    harness.submit(command)
    harness.taken()
    wait_for(harness.open_late)
    assert harness.has_record(command)
