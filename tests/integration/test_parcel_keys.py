"""Order on a key between parcels and records: what is accepted first takes effect first."""

from __future__ import annotations

import pytest

from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.state import State
from tests.integration.parcel_harness import HASTY, ParcelHarness, commands_of, wait_for, woken
from tests.integration.test_ledger import put

NEW = Acceptance.NEW


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


def claimable(harness: ParcelHarness, *commands: Command) -> list[Command]:
    """Which of these records a claim gives; they are given back at once."""
    claimed = harness.claim(*commands)
    if claimed:
        harness.finish(*claimed, action=Action.RELEASE)
    return [each.command for each in claimed]


@pytest.mark.parametrize("as_records", [False, True])
def test_what_comes_behind_a_parcel_waits_as_a_record_for_its_end(
    harness: ParcelHarness, as_records: bool
) -> None:
    first, second, third = put("k", b"1"), put("k", b"2"), put("k", b"3")
    harness.submit(first)
    assert harness.submit(second, third, as_records=as_records) == [NEW, NEW]
    assert harness.waiting_on("k") == ["", second.ref, third.ref], "the parcel has the first place"
    assert claimable(harness, second, third) == []
    claims = harness.taken()
    assert commands_of(claims) == [first]
    assert claimable(harness, second, third) == []
    # What was turned away is woken now, and not only when its time comes.
    assert woken(harness.end(claims).wakes) == [second.ref, third.ref]
    assert harness.waiting_on("k") == [second.ref, third.ref]
    harness.run(second, third)
    assert harness.waiting_on("k") == []
    assert harness.ledger.totals()["open"] == 0


def test_what_nobody_turned_away_has_its_own_wake_up_on_the_way(harness: ParcelHarness) -> None:
    first, second = put("k", b"1"), put("k", b"2")
    harness.submit(first)
    assert woken(harness.accept(second).wakes) == [second.ref]
    assert woken(harness.end(harness.taken()).wakes) == []
    harness.run(second)


def test_a_parcel_takes_no_key_of_an_open_record(harness: ParcelHarness) -> None:
    first, second, beside = put("k", b"1"), put("k", b"2"), put("other")
    harness.submit(first, as_records=True)
    assert harness.submit(second, beside) == [NEW, NEW]
    assert commands_of(harness.taken()) == [beside]
    assert claimable(harness, second) == []
    harness.run(first)
    harness.run(second)


def test_a_parcel_takes_no_key_of_another_parcel(harness: ParcelHarness) -> None:
    first, second, beside = put("k", b"1"), put("k", b"2"), put("other")
    harness.submit(first)
    assert harness.submit(second, beside) == [NEW, NEW]
    claims = harness.taken()
    assert commands_of(claims) == [first, beside]
    assert claimable(harness, second) == []
    harness.end(claims)
    harness.run(second)


def test_what_is_left_out_takes_all_of_its_key_along(harness: ParcelHarness) -> None:
    known, again, behind, beside = put("k", b"1"), put("j"), put("k", b"2"), put("other")
    harness.submit(known)
    harness.end(harness.taken())
    harness.submit(again, known, behind, beside)
    assert commands_of(harness.taken()) == [again, beside]
    assert harness.waiting_on("k") == [behind.ref]
    harness.run(behind)


def test_a_replay_stands_behind_the_parcel_that_was_accepted_before(harness: ParcelHarness) -> None:
    first, second = put("k", b"1"), put("k", b"2")
    harness.submit(first)
    old = harness.taken()
    harness.end(old, {first.ref: Action.DEAD})
    harness.submit(second)
    replayed = DeadLetters(harness.connection, harness.settings).replay([first.ref])
    assert woken(replayed.wakes) == [first.ref]
    assert harness.waiting_on("k") == ["", first.ref]
    assert claimable(harness, first) == []
    claims = harness.taken()
    assert commands_of(claims) == [second]
    assert woken(harness.end(claims).wakes) == [first.ref]
    [again] = harness.claim(first)
    assert (again.mark, again.takeover) == (old.claimed[0].mark, True), "it looks what it did"
    assert again.seq > claims.claimed[0].seq


def test_parcel_record_and_parcel_on_one_key_run_in_this_order(harness: ParcelHarness) -> None:
    first, second, third = put("k", b"1"), put("k", b"2"), put("k", b"3")
    harness.submit(first)
    harness.submit(second)
    harness.submit(third)
    ran = commands_of(claims := harness.taken())
    assert claimable(harness, third, second) == []
    harness.end(claims)
    assert claimable(harness, third) == []
    for expected in (second, third):
        harness.run(expected)
        ran.append(expected)
    assert ran == [first, second, third]
    fourth = put("k", b"4")
    harness.submit(fourth)
    assert commands_of(harness.taken()) == [fourth], "the key is free for a parcel again"


def test_what_leaves_a_parcel_stays_before_all_that_came_behind_it(harness: ParcelHarness) -> None:
    first, second, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    harness.submit(first, second)
    harness.submit(behind)
    assert claimable(harness, behind) == []
    claims = harness.taken()
    both = {first.ref: Action.RETRY, second.ref: Action.RETRY}
    assert woken(harness.end(claims, both).wakes) == []
    assert harness.waiting_on("k") == [first.ref, second.ref, behind.ref]
    assert claimable(harness, behind, second) == []
    harness.run(first)
    harness.run(second)
    harness.run(behind)


def test_what_leaves_a_parcel_behind_nothing_still_has_its_key(harness: ParcelHarness) -> None:
    first, later = put("k", b"1"), put("k", b"2")
    harness.submit(first)
    harness.end(harness.taken(), {first.ref: Action.RETRY})
    assert harness.submit(later) == [NEW]
    assert harness.parcels_open() == []
    assert claimable(harness, later) == []
    harness.run(first)
    harness.run(later)


def test_a_parcel_gives_up_its_place_only_on_keys_on_which_all_is_done(
    harness: ParcelHarness,
) -> None:
    done, again = put("k"), put("j")
    behind_done, behind_again = put("k", b"2"), put("j", b"2")
    harness.submit(done, again)
    harness.submit(behind_done, behind_again)
    assert claimable(harness, behind_done, behind_again) == []
    finished = harness.end(harness.taken(), {again.ref: Action.RETRY})
    assert woken(finished.wakes) == [behind_done.ref]
    assert claimable(harness, behind_done, behind_again) == [behind_done]
    assert harness.waiting_on("j") == [again.ref, behind_again.ref]


def test_of_a_key_what_is_done_and_what_is_not_leave_the_parcel_in_order(
    harness: ParcelHarness,
) -> None:
    done, again, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    harness.submit(done, again)
    harness.submit(behind)
    harness.end(harness.taken(), {again.ref: Action.RETRY})
    assert harness.waiting_on("k") == [again.ref, behind.ref]
    assert claimable(harness, behind) == []
    harness.run(again)
    harness.run(behind)


@pytest.mark.parametrize("action", [Action.DEAD, Action.PARK, Action.RELEASE, Action.RETRY])
def test_a_key_goes_on_however_its_command_left_the_parcel(
    harness: ParcelHarness, action: Action
) -> None:
    first, behind = put("k", b"1"), put("k", b"2")
    harness.submit(first)
    harness.submit(behind)
    assert claimable(harness, behind) == []
    wakes = woken(harness.end(harness.taken(), {first.ref: action}).wakes)
    if action is Action.DEAD:
        assert wakes == [behind.ref]
    else:
        assert wakes == []
        assert woken(harness.run(first).wakes) == [behind.ref]
    harness.run(behind)


def test_at_the_end_of_its_lease_a_parcel_leaves_its_commands_in_its_place(
    state: State,
) -> None:
    harness = ParcelHarness(state, lease=HASTY)
    first, second, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    harness.submit(first, second)
    harness.submit(behind)
    assert claimable(harness, behind) == []
    harness.taken()
    assert wait_for(harness.open_late) == 1
    assert harness.waiting_on("k") == [first.ref, second.ref, behind.ref]
    patient = ParcelHarness(state)
    assert claimable(patient, behind, second) == []
    patient.run(first, second)
    patient.run(behind)


def test_a_hundred_on_one_key_share_a_parcel_in_their_order(harness: ParcelHarness) -> None:
    commands: list[PutObject] = [put("k", str(n).encode()) for n in range(100)]
    harness.submit(*commands)
    claims = harness.taken()
    assert len(claims.parcels) == 1
    assert commands_of(claims) == commands
    harness.end(claims, {commands[n].ref: Action.RETRY for n in range(50, 100)})
    assert harness.waiting_on("k") == [command.ref for command in commands[50:]]
    harness.run(*commands[50:])


def test_behind_a_full_parcel_of_a_key_the_rest_of_the_submit_are_records(
    harness: ParcelHarness,
) -> None:
    commands = [put("k", str(n).encode()) for n in range(250)]
    harness.submit(*commands)
    claims = harness.taken()
    assert commands_of(claims) == commands[:100]
    assert harness.waiting_on("k") == ["", *(command.ref for command in commands[100:])]
    harness.end(claims)
    harness.run(*commands[100:])
