"""Takeovers of object commands: running a command again has the same effect as running it once."""

from __future__ import annotations

import pytest

from signalbox.commands.error import NotFound, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.desk import Desk, Turn

KIND = ResourceKind.OBJECT_STORE


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_put_that_was_done_is_not_done_again(desk: Desk, if_absent: bool) -> None:
    turn = Turn()
    first = desk.put("a", b"one", call=desk.call(turn), if_absent=if_absent)
    modified = desk.head("a").modified
    again = desk.put("a", b"one", call=desk.call(turn, takeover=True), if_absent=if_absent)
    assert again == first
    assert desk.head("a").modified == modified


def test_a_compare_and_swap_that_was_done_is_not_refused(desk: Desk) -> None:
    seen, turn = desk.put("a", b"one").etag, Turn()
    first = desk.put("a", b"two", call=desk.call(turn), if_match=seen)
    again = desk.put("a", b"two", call=desk.call(turn, takeover=True), if_match=seen)
    assert again == first


def test_a_large_put_that_was_done_is_not_done_again(desk: Desk) -> None:
    turn, payload = Turn(), desk.payloads.stage([bytes(9 * 1024**2)])
    first = desk.put("a", payload, call=desk.call(turn), if_absent=True)
    again = desk.put("a", payload, call=desk.call(turn, takeover=True), if_absent=True)
    assert again == first


def test_a_put_that_was_not_done_is_done_now(desk: Desk) -> None:
    desk.put("a", b"before")
    desk.put("a", b"after", call=desk.call(takeover=True))
    desk.put("b", b"new", call=desk.call(takeover=True), if_absent=True)
    assert (desk.read("a"), desk.read("b")) == (b"after", b"new")


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_late_put_does_not_undo_a_newer_one(desk: Desk, if_absent: bool) -> None:
    late = Turn()
    newer = desk.put("a", b"newer")
    result = desk.put("a", b"late", call=desk.call(late, takeover=True), if_absent=if_absent)
    # It answers for itself: as if it had been done, and then overwritten.
    assert (result.key, result.size) == ("a", 4)
    assert result.etag != newer.etag
    assert desk.read("a") == b"newer"
    assert desk.head("a").etag == newer.etag


def test_a_late_delete_leaves_a_newer_object(desk: Desk) -> None:
    desk.put("a", b"old")
    late = Turn()
    desk.put("a", b"newer")
    desk.delete("a", call=desk.call(late, takeover=True))
    assert desk.read("a") == b"newer"


def test_a_delete_that_was_done_succeeds_again(desk: Desk) -> None:
    etag, turn = desk.put("a").etag, Turn()
    desk.delete("a", if_match=etag, call=desk.call(turn))
    desk.delete("a", if_match=etag, call=desk.call(turn, takeover=True))
    with pytest.raises(NotFound):
        desk.head("a")


def test_a_delete_that_was_not_done_is_done_now(desk: Desk) -> None:
    desk.put("a")
    desk.delete("a", call=desk.call(takeover=True))
    assert desk.keys() == []


def test_a_takeover_still_honours_the_condition_of_a_delete(desk: Desk) -> None:
    old = desk.put("a", b"one").etag
    desk.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        desk.delete("a", if_match=old, call=desk.call(takeover=True))
    assert desk.read("a") == b"two"


def test_a_takeover_still_honours_the_condition_of_a_put(desk: Desk) -> None:
    old = desk.put("a", b"one").etag
    desk.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        desk.put("a", b"three", if_match=old, call=desk.call(takeover=True))
    assert desk.read("a") == b"two"


def test_a_register_that_was_done_keeps_its_record(desk: Desk) -> None:
    desk.put("a")
    turn = Turn()
    first = desk.register("a", call=desk.call(turn))
    assert desk.register("a", call=desk.call(turn, takeover=True)) == first
