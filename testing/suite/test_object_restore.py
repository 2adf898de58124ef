"""Objects after a restore of the ledger: what was open at the backup runs again as a takeover, and
neither undoes what is newer nor brings back what was deleted since."""

from __future__ import annotations

import pytest

from signalbox.commands.scope import ResourceKind
from signalbox.testing.desk import Desk, Turn

KIND = ResourceKind.OBJECT_STORE
BACKENDS = {"filesystem"}

contents = pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
conditions = pytest.mark.parametrize("if_absent", [False, True])


@contents
@conditions
def test_a_restored_put_says_that_a_newer_one_is_there(
    desk: Desk, size: int, if_absent: bool
) -> None:
    turn = Turn()
    newer = desk.put("a", b"newer")
    call = desk.call(turn, takeover=True)
    assert desk.put("a", bytes(size), call=call, if_absent=if_absent).superseded
    assert (desk.read("a"), desk.head("a").etag) == (b"newer", newer.etag)


@contents
@conditions
def test_a_restored_put_does_not_bring_back_what_was_deleted(
    desk: Desk, size: int, if_absent: bool
) -> None:
    turn = Turn()
    desk.put("a", bytes(size), call=desk.call(turn), if_absent=if_absent)
    desk.delete("a")
    call = desk.call(turn, takeover=True)
    assert desk.put("a", bytes(size), call=call, if_absent=if_absent).superseded
    assert desk.keys() == []


def test_a_restored_put_does_not_come_behind_a_delete_of_nothing(desk: Desk) -> None:
    turn = Turn()
    desk.delete("a")
    assert desk.put("a", call=desk.call(turn, takeover=True)).superseded
    assert desk.keys() == []


def test_a_restored_delete_says_that_a_newer_object_is_there(desk: Desk) -> None:
    seen, turn = desk.put("a", b"old").etag, Turn()
    desk.put("a", b"newer")
    assert desk.delete("a", call=desk.call(turn, takeover=True))
    assert desk.delete("a", call=desk.call(turn, takeover=True), if_match=seen)
    assert desk.read("a") == b"newer"


def test_a_restored_delete_leaves_a_newer_deletion(desk: Desk) -> None:
    old, between = Turn(), Turn()
    desk.delete("a")
    assert desk.delete("a", call=desk.call(old, takeover=True))
    assert desk.put("a", call=desk.call(between, takeover=True)).superseded
    assert desk.keys() == []


def test_a_restored_history_ends_where_it_had_ended(desk: Desk) -> None:
    turns = [Turn() for _ in range(5)]

    def play(takeover: bool) -> list[bool]:
        calls = [desk.call(turn, takeover=takeover) for turn in turns]
        return [
            desk.put("a", b"one", call=calls[0]).superseded,
            desk.delete("a", call=calls[1]),
            desk.put("a", b"two", call=calls[2]).superseded,
            desk.delete("a", call=calls[3]),
            desk.put("b", b"three", call=calls[4]).superseded,
        ]

    assert play(takeover=False) == [False] * 5
    assert play(takeover=True) == [True, True, True, False, False]
    assert desk.keys() == ["b"]


def test_a_compare_and_swap_that_was_done_and_deleted_is_not_refused(desk: Desk) -> None:
    seen, swap, removal = desk.put("a", b"one").etag, Turn(), Turn()
    for takeover in (False, True):
        calls = [desk.call(turn, takeover=takeover) for turn in (swap, removal)]
        desk.put("a", b"two", call=calls[0], if_match=seen)
        assert not desk.delete("a", call=calls[1])
    assert desk.keys() == []


def test_a_restored_register_knows_its_record_though_the_object_is_gone(desk: Desk) -> None:
    desk.put("a")
    turn = Turn()
    first = desk.register("a", call=desk.call(turn))
    desk.delete("a")
    assert desk.register("a", call=desk.call(turn, takeover=True)) == first


def test_a_restored_register_says_that_a_newer_one_is_there(desk: Desk) -> None:
    desk.put("a", b"one")
    turn = Turn()
    desk.register("a", call=desk.call(turn), size_bytes=3)
    desk.put("a", b"newer")
    newer = desk.register("a", size_bytes=5)
    late = desk.register("a", call=desk.call(turn, takeover=True), size_bytes=3)
    assert late.superseded
    fresh = Turn()
    again = desk.register("a", call=desk.call(fresh), size_bytes=5)
    assert (again.etag, again.superseded) == (newer.etag, False)
