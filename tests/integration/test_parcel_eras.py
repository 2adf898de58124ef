"""Parcels on a state server that starts again, comes back older, or lost something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.ledger.entry import Acceptance, Action, Claims
from signalbox.commands.state import connect
from tests.conftest import need_redis
from tests.integration.parcel_desk import (
    HASTY,
    SHARD,
    Desk,
    commands_of,
)
from tests.integration.test_ledger import put
from tests.integration.test_ledger_era import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    need_redis()
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.server.stop()


def desk_of(shelf: Shelf, **settings: timedelta) -> Desk:
    """As a worker has it that was just started."""
    return Desk(connect(shelf.server.url, ledger_shards=16), **settings)


def takeovers(claims: Claims) -> list[bool]:
    assert claims.lost == {}
    return [claimed.takeover for claimed in claims.claimed]


def test_a_parcel_of_before_the_server_started_again_runs_as_a_takeover(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    desk.submit(put("a"))
    assert takeovers(desk.taken()) == [False], "a new ledger has nothing older"
    desk.submit(put("b"), put("c"))
    shelf.crash()
    claims = desk.taken()
    assert takeovers(claims) == [True, True]
    assert [claimed.attempt for claimed in claims.claimed] == [1, 1], "it spends no attempt"
    desk.submit(put("d"))
    assert takeovers(desk.taken()) == [False]
    assert shelf.eras.lost() == {}


def test_a_take_alone_notes_that_another_server_has_the_ledger(shelf: Shelf) -> None:
    """Nobody claims or finishes a record in between."""
    desk = desk_of(shelf)
    desk.submit(put("a"))
    desk.taken()
    [before] = desk.client.hmget(f"{SHARD}:era", "name")
    shelf.crash()
    desk.taken()
    [after] = desk.client.hmget(f"{SHARD}:era", "name")
    assert before != after
    assert desk.client.hexists(f"{SHARD}:eras", before)


def test_the_end_of_a_parcel_notes_it_too(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    desk.submit(put("a"))
    claims = desk.taken()
    desk.submit(put("b"))
    shelf.crash()
    assert desk.end(claims).refused == []
    assert takeovers(desk.taken()) == [True]
    assert shelf.eras.lost() == {}


def test_what_was_taken_before_a_restart_is_given_again_and_ends(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    command = put("a")
    desk.submit(command)
    desk.taken("t1")
    shelf.crash()
    again = desk.taken("t1")
    assert (commands_of(again), takeovers(again)) == ([command], [True])
    assert desk.end(again).refused == []
    assert shelf.eras.lost() == {}


def test_what_leaves_a_parcel_of_before_is_a_takeover_as_well(shelf: Shelf) -> None:
    desk, patient = desk_of(shelf, lease=HASTY), desk_of(shelf)
    command = put("a")
    desk.submit(command)
    shelf.crash()
    claims = patient.taken()
    patient.end(claims, {command.ref: Action.RELEASE})
    [claimed] = patient.claim(command)
    assert (claimed.attempt, claimed.takeover) == (1, True)


def test_what_is_taken_of_a_ledger_that_lost_something_waits_for_a_rebase(
    shelf: Shelf,
) -> None:
    desk = desk_of(shelf, publish_grace=HASTY)
    first, second = put("a"), put("b")
    desk.submit(first)
    desk.taken()
    shelf.back_up()
    desk.submit(second)
    desk.end(desk.taken())
    shelf.restore()
    mine = put("c")
    desk.submit(mine)
    claims = desk.taken()
    assert commands_of(claims) == [mine]
    [reason] = claims.lost.values()
    assert "lost some" in reason
    # What a worker does with it: `withhold` in workers/execution/recovery_reads.py.
    assert desk.end(claims, {mine.ref: Action.RELEASE}).refused == []
    fresh = desk_of(shelf, publish_grace=HASTY)
    assert (fresh.taken().claimed, len(fresh.taken().lost)) == ([], 1)

    shelf.eras.rebase("e1")
    [claimed] = desk.claim(mine)
    assert (claimed.attempt, claimed.takeover) == (1, True)
    assert desk.finish(claimed).refused == []
    later = put("d")
    desk.submit(later)
    assert takeovers(desk.taken()) == [False]


def test_while_something_is_lost_what_is_accepted_has_records(shelf: Shelf) -> None:
    """So who claims it can give it back."""
    desk = desk_of(shelf)
    desk.submit(put("a"))
    desk.taken()
    desk.client.hset(f"{SHARD}:era", "lost", "some")
    before = desk.parcels_open()
    command = put("b")
    assert desk.submit(command) == [Acceptance.NEW]
    assert desk.has_record(command)
    assert desk.parcels_open() == before


def test_an_end_that_was_lost_is_noticed_by_the_next_take(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    desk.submit(put("a"))
    claims = desk.taken()
    shelf.back_up()
    assert desk.end(claims).refused == []
    shelf.restore()
    desk.submit(put("b"))
    assert desk.taken().lost


def test_a_server_that_came_back_empty_is_known_to_have_lost_something(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    desk.submit(put("a"))
    desk.taken()
    desk.client.flushall()
    desk.submit(put("b"))
    assert len(desk.taken().lost) == 1


def test_ends_of_parcels_after_a_restore_do_not_hide_what_it_lost(shelf: Shelf) -> None:
    desk = desk_of(shelf)
    for n in range(4):
        desk.submit(put(f"k{n}"))
        claims = desk.taken(f"t{n}")
    held = [desk.taken(f"t{n}") for n in range(4)]
    shelf.back_up()
    desk.submit(put("lost"))
    claims = desk.taken()
    assert desk.end(claims).refused == []
    shelf.restore()
    for each in held:
        assert desk.end(each).refused == []
    desk.submit(put("new"))
    assert desk.taken().lost


def test_numbers_of_a_restored_ledger_are_above_those_that_it_lost(shelf: Shelf) -> None:
    """What a backend holds with a later number would else undo, or be undone by, a newer write."""
    desk = desk_of(shelf)
    desk.submit(put("a"))
    shelf.back_up()
    lost = desk.receipts(put("k", b"1"), put("j"))
    shelf.restore()
    again = desk.receipts(put("k", b"2"))
    assert again[0].seq > max(receipt.seq for receipt in lost)
