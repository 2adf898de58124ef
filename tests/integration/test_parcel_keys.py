"""Order on a key between parcels and records: what is accepted first takes effect first."""

from __future__ import annotations

import pytest

from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.state import State
from tests.integration.parcel_desk import HASTY, Desk, commands_of, wait_for, woken
from tests.integration.test_ledger import put

NEW = Acceptance.NEW


@pytest.fixture
def desk(state: State) -> Desk:
    return Desk(state)


def claimable(desk: Desk, *commands: Command) -> list[Command]:
    """Which of these records a claim gives; they are given back at once."""
    claimed = desk.claim(*commands)
    if claimed:
        desk.finish(*claimed, action=Action.RELEASE)
    return [each.command for each in claimed]


@pytest.mark.parametrize("as_records", [False, True])
def test_what_comes_behind_a_parcel_waits_as_a_record_for_its_end(
    desk: Desk, as_records: bool
) -> None:
    first, second, third = put("k", b"1"), put("k", b"2"), put("k", b"3")
    desk.submit(first)
    assert desk.submit(second, third, as_records=as_records) == [NEW, NEW]
    assert desk.behind("k") == ["", second.ref, third.ref], "the parcel has the first place"
    assert claimable(desk, second, third) == []
    claims = desk.taken()
    assert commands_of(claims) == [first]
    assert claimable(desk, second, third) == []
    # What was turned away is woken now, and not only when its time comes.
    assert woken(desk.end(claims).wakes) == [second.ref, third.ref]
    assert desk.behind("k") == [second.ref, third.ref]
    desk.run(second, third)
    assert desk.behind("k") == []
    assert desk.ledger.totals()["open"] == 0


def test_what_nobody_turned_away_has_its_own_wake_up_on_the_way(desk: Desk) -> None:
    first, second = put("k", b"1"), put("k", b"2")
    desk.submit(first)
    assert woken(desk.accept(second).wakes) == [second.ref]
    assert woken(desk.end(desk.taken()).wakes) == []
    desk.run(second)


def test_a_parcel_takes_no_key_of_an_open_record(desk: Desk) -> None:
    first, second, beside = put("k", b"1"), put("k", b"2"), put("other")
    desk.submit(first, as_records=True)
    assert desk.submit(second, beside) == [NEW, NEW]
    assert commands_of(desk.taken()) == [beside]
    assert claimable(desk, second) == []
    desk.run(first)
    desk.run(second)


def test_a_parcel_takes_no_key_of_another_parcel(desk: Desk) -> None:
    first, second, beside = put("k", b"1"), put("k", b"2"), put("other")
    desk.submit(first)
    assert desk.submit(second, beside) == [NEW, NEW]
    claims = desk.taken()
    assert commands_of(claims) == [first, beside]
    assert claimable(desk, second) == []
    desk.end(claims)
    desk.run(second)


def test_what_is_left_out_takes_all_of_its_key_along(desk: Desk) -> None:
    known, again, behind, beside = put("k", b"1"), put("j"), put("k", b"2"), put("other")
    desk.submit(known)
    desk.end(desk.taken())
    desk.submit(again, known, behind, beside)
    assert commands_of(desk.taken()) == [again, beside]
    assert desk.behind("k") == [behind.ref]
    desk.run(behind)


def test_a_replay_stands_behind_the_parcel_that_was_accepted_before(desk: Desk) -> None:
    first, second = put("k", b"1"), put("k", b"2")
    desk.submit(first)
    old = desk.taken()
    desk.end(old, {first.ref: Action.DEAD})
    desk.submit(second)
    replayed = DeadLetters(desk.connection, desk.settings).replay([first.ref])
    assert woken(replayed.wakes) == [first.ref]
    assert desk.behind("k") == ["", first.ref]
    assert claimable(desk, first) == []
    claims = desk.taken()
    assert commands_of(claims) == [second]
    assert woken(desk.end(claims).wakes) == [first.ref]
    [again] = desk.claim(first)
    assert (again.mark, again.takeover) == (old.claimed[0].mark, True), "it looks what it did"
    assert again.seq > claims.claimed[0].seq


def test_parcel_record_and_parcel_on_one_key_run_in_this_order(desk: Desk) -> None:
    first, second, third = put("k", b"1"), put("k", b"2"), put("k", b"3")
    desk.submit(first)
    desk.submit(second)
    desk.submit(third)
    ran = commands_of(claims := desk.taken())
    assert claimable(desk, third, second) == []
    desk.end(claims)
    assert claimable(desk, third) == []
    for expected in (second, third):
        desk.run(expected)
        ran.append(expected)
    assert ran == [first, second, third]
    fourth = put("k", b"4")
    desk.submit(fourth)
    assert commands_of(desk.taken()) == [fourth], "the key is free for a parcel again"


def test_what_leaves_a_parcel_stays_before_all_that_came_behind_it(desk: Desk) -> None:
    first, second, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    desk.submit(first, second)
    desk.submit(behind)
    assert claimable(desk, behind) == []
    claims = desk.taken()
    both = {first.ref: Action.RETRY, second.ref: Action.RETRY}
    assert woken(desk.end(claims, both).wakes) == []
    assert desk.behind("k") == [first.ref, second.ref, behind.ref]
    assert claimable(desk, behind, second) == []
    desk.run(first)
    desk.run(second)
    desk.run(behind)


def test_what_leaves_a_parcel_behind_nothing_still_has_its_key(desk: Desk) -> None:
    first, later = put("k", b"1"), put("k", b"2")
    desk.submit(first)
    desk.end(desk.taken(), {first.ref: Action.RETRY})
    assert desk.submit(later) == [NEW]
    assert desk.parcels_open() == []
    assert claimable(desk, later) == []
    desk.run(first)
    desk.run(later)


def test_a_parcel_gives_up_its_place_only_on_keys_on_which_all_is_done(desk: Desk) -> None:
    done, again = put("k"), put("j")
    behind_done, behind_again = put("k", b"2"), put("j", b"2")
    desk.submit(done, again)
    desk.submit(behind_done, behind_again)
    assert claimable(desk, behind_done, behind_again) == []
    finished = desk.end(desk.taken(), {again.ref: Action.RETRY})
    assert woken(finished.wakes) == [behind_done.ref]
    assert claimable(desk, behind_done, behind_again) == [behind_done]
    assert desk.behind("j") == [again.ref, behind_again.ref]


def test_of_a_key_what_is_done_and_what_is_not_leave_the_parcel_in_order(desk: Desk) -> None:
    done, again, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    desk.submit(done, again)
    desk.submit(behind)
    desk.end(desk.taken(), {again.ref: Action.RETRY})
    assert desk.behind("k") == [again.ref, behind.ref]
    assert claimable(desk, behind) == []
    desk.run(again)
    desk.run(behind)


@pytest.mark.parametrize("action", [Action.DEAD, Action.PARK, Action.RELEASE, Action.RETRY])
def test_a_key_goes_on_however_its_command_left_the_parcel(desk: Desk, action: Action) -> None:
    first, behind = put("k", b"1"), put("k", b"2")
    desk.submit(first)
    desk.submit(behind)
    assert claimable(desk, behind) == []
    wakes = woken(desk.end(desk.taken(), {first.ref: action}).wakes)
    if action is Action.DEAD:
        assert wakes == [behind.ref]
    else:
        assert wakes == []
        assert woken(desk.run(first).wakes) == [behind.ref]
    desk.run(behind)


def test_at_the_end_of_its_lease_a_parcel_leaves_its_commands_in_its_place(
    state: State,
) -> None:
    desk = Desk(state, lease=HASTY)
    first, second, behind = put("k", b"1"), put("k", b"2"), put("k", b"3")
    desk.submit(first, second)
    desk.submit(behind)
    assert claimable(desk, behind) == []
    desk.taken()
    assert wait_for(desk.open_late) == 1
    assert desk.behind("k") == [first.ref, second.ref, behind.ref]
    patient = Desk(state)
    assert claimable(patient, behind, second) == []
    patient.run(first, second)
    patient.run(behind)


def test_a_hundred_on_one_key_share_a_parcel_in_their_order(desk: Desk) -> None:
    commands: list[PutObject] = [put("k", str(n).encode()) for n in range(100)]
    desk.submit(*commands)
    claims = desk.taken()
    assert len(claims.parcels) == 1
    assert commands_of(claims) == commands
    desk.end(claims, {commands[n].ref: Action.RETRY for n in range(50, 100)})
    assert desk.behind("k") == [command.ref for command in commands[50:]]
    desk.run(*commands[50:])


def test_behind_a_full_parcel_of_a_key_the_rest_of_the_submit_are_records(desk: Desk) -> None:
    commands = [put("k", str(n).encode()) for n in range(250)]
    desk.submit(*commands)
    claims = desk.taken()
    assert commands_of(claims) == commands[:100]
    assert desk.behind("k") == ["", *(command.ref for command in commands[100:])]
    desk.end(claims)
    desk.run(*commands[100:])
