"""Parcels on a state server that starts again, comes back older, or lost something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action, Claims
from signalbox.commands.state import connect
from tests.conftest import need_redis
from tests.integration.parcel_harness import (
    HASTY,
    SHARD,
    ParcelHarness,
    commands_of,
)
from tests.integration.test_ledger import put
from tests.integration.test_ledger_era import StateServer


@pytest.fixture
def state_server(tmp_path: Path) -> Iterator[StateServer]:
    need_redis()
    state_server = StateServer(tmp_path)
    yield state_server
    state_server.server.stop()


def harness_of(state_server: StateServer, **settings: timedelta) -> ParcelHarness:
    """As a worker has it that was just started."""
    return ParcelHarness(connect(state_server.server.url, ledger_shards=16), **settings)


def takeovers(claims: Claims) -> list[bool]:
    assert claims.lost == {}
    return [claimed.takeover for claimed in claims.claimed]


def test_a_parcel_of_before_the_server_started_again_runs_as_a_takeover(
    state_server: StateServer,
) -> None:
    harness = harness_of(state_server)
    harness.submit(put("a"))
    assert takeovers(harness.taken()) == [False], "a new ledger has nothing older"
    harness.submit(put("b"), put("c"))
    state_server.crash()
    claims = harness.taken()
    assert takeovers(claims) == [True, True]
    assert [claimed.attempt for claimed in claims.claimed] == [1, 1], "it spends no attempt"
    harness.submit(put("d"))
    assert takeovers(harness.taken()) == [False]
    assert state_server.eras.lost() == {}


def test_a_take_alone_notes_that_another_server_has_the_ledger(state_server: StateServer) -> None:
    """Nobody claims or finishes a record in between."""
    harness = harness_of(state_server)
    harness.submit(put("a"))
    harness.taken()
    [before] = harness.client.hmget(f"{SHARD}:era", "name")
    state_server.crash()
    harness.taken()
    [after] = harness.client.hmget(f"{SHARD}:era", "name")
    assert before != after
    assert harness.client.hexists(f"{SHARD}:eras", before)


def test_the_end_of_a_parcel_notes_it_too(state_server: StateServer) -> None:
    harness = harness_of(state_server)
    harness.submit(put("a"))
    claims = harness.taken()
    harness.submit(put("b"))
    state_server.crash()
    assert harness.end(claims).refused == []
    assert takeovers(harness.taken()) == [True]
    assert state_server.eras.lost() == {}


def test_what_was_taken_before_a_restart_is_given_again_and_ends(state_server: StateServer) -> None:
    harness = harness_of(state_server)
    command = put("a")
    harness.submit(command)
    harness.taken("t1")
    state_server.crash()
    again = harness.taken("t1")
    assert (commands_of(again), takeovers(again)) == ([command], [True])
    assert harness.end(again).refused == []
    assert state_server.eras.lost() == {}


def test_what_leaves_a_parcel_of_before_is_a_takeover_as_well(state_server: StateServer) -> None:
    harness, patient = harness_of(state_server, lease=HASTY), harness_of(state_server)
    command = put("a")
    harness.submit(command)
    state_server.crash()
    claims = patient.taken()
    patient.end(claims, {command.ref: Action.RELEASE})
    [claimed] = patient.claim(command)
    assert (claimed.attempt, claimed.takeover) == (1, True)


def test_what_is_taken_of_a_ledger_that_lost_something_waits_for_a_rebase(
    state_server: StateServer,
) -> None:
    harness = harness_of(state_server, publish_grace=HASTY)
    first, second = put("a"), put("b")
    harness.submit(first)
    harness.taken()
    state_server.back_up()
    harness.submit(second)
    harness.end(harness.taken())
    state_server.restore()
    mine = put("c")
    harness.submit(mine)
    claims = harness.taken()
    assert commands_of(claims) == [mine]
    [reason] = claims.lost.values()
    assert "lost some" in reason
    # What a worker does with it: `withhold` in workers/execution/archive_reads.py.
    assert harness.end(claims, {mine.ref: Action.RELEASE}).refused == []
    fresh = harness_of(state_server, publish_grace=HASTY)
    assert (fresh.taken().claimed, len(fresh.taken().lost)) == ([], 1)

    state_server.eras.rebase("e1")
    [claimed] = harness.claim(mine)
    assert (claimed.attempt, claimed.takeover) == (1, True)
    assert harness.finish(claimed).refused == []
    later = put("d")
    harness.submit(later)
    assert takeovers(harness.taken()) == [False]


def test_while_something_is_lost_what_is_accepted_has_records(state_server: StateServer) -> None:
    """So who claims it can give it back."""
    harness = harness_of(state_server)
    harness.submit(put("a"))
    harness.taken()
    harness.client.hset(f"{SHARD}:era", "lost", "some")
    before = harness.parcels_open()
    command = put("b")
    assert harness.submit(command) == [Acceptance.NEW]
    assert harness.has_record(command)
    assert harness.parcels_open() == before


def test_an_end_that_was_lost_is_noticed_by_the_next_take(state_server: StateServer) -> None:
    harness = harness_of(state_server)
    harness.submit(put("a"))
    claims = harness.taken()
    state_server.back_up()
    assert harness.end(claims).refused == []
    state_server.restore()
    harness.submit(put("b"))
    assert harness.taken().lost


def test_a_server_that_came_back_empty_is_known_to_have_lost_something(
    state_server: StateServer,
) -> None:
    harness = harness_of(state_server)
    harness.submit(put("a"))
    harness.taken()
    harness.client.flushall()
    harness.submit(put("b"))
    assert len(harness.taken().lost) == 1


def test_ends_of_parcels_after_a_restore_do_not_hide_what_it_lost(
    state_server: StateServer,
) -> None:
    harness = harness_of(state_server)
    for n in range(4):
        harness.submit(put(f"k{n}"))
        claims = harness.taken(f"t{n}")
    held = [harness.taken(f"t{n}") for n in range(4)]
    state_server.back_up()
    harness.submit(put("lost"))
    claims = harness.taken()
    assert harness.end(claims).refused == []
    state_server.restore()
    for each in held:
        assert harness.end(each).refused == []
    harness.submit(put("new"))
    assert harness.taken().lost


def test_numbers_of_a_restored_ledger_are_above_those_that_it_lost(
    state_server: StateServer,
) -> None:
    """What a backend holds with a later number would else undo, or be undone by, a newer write."""
    harness = harness_of(state_server)
    harness.submit(put("a"))
    state_server.back_up()
    lost = harness.receipts(put("k", b"1"), put("j"))
    state_server.restore()
    again = harness.receipts(put("k", b"2"))
    assert again[0].seq > max(receipt.seq for receipt in lost)
