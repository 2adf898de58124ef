"""Objects after a replay, or an op_id used anew: what is the command's own is known, and what is
another's is not taken for it."""

from __future__ import annotations

import hashlib

import pytest

from signalbox.commands.error import AlreadyExists, NotFound, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.desk import Desk, Turn

KIND = ResourceKind.OBJECT_STORE


def test_an_object_may_be_put_again_behind_its_deletion(desk: Desk) -> None:
    desk.put("a", b"one")
    desk.delete("a")
    assert not desk.put("a", b"two", if_absent=True).superseded
    desk.delete("a")
    assert not desk.put("a", b"three", call=desk.call(takeover=True)).superseded
    assert desk.read("a") == b"three"


def test_an_ordinary_write_was_not_superseded(desk: Desk) -> None:
    turn = Turn()
    for takeover in (False, True):
        assert not desk.put("a", call=desk.call(turn, takeover=takeover)).superseded
        assert not desk.register("a").superseded
    turn = Turn()
    for takeover in (False, True):
        assert not desk.delete("a", call=desk.call(turn, takeover=takeover))


@pytest.mark.parametrize("condition", ["if_absent", "if_match"])
def test_a_replayed_put_knows_its_effect(desk: Desk, condition: str) -> None:
    seen = desk.put("a", b"before").etag if condition == "if_match" else None
    turn = Turn()
    first = desk.put("a", b"x", call=desk.call(turn), if_absent=seen is None, if_match=seen)
    call = desk.call(turn.replayed(), takeover=True)
    again = desk.put("a", b"x", call=call, if_absent=seen is None, if_match=seen)
    assert again == first
    assert desk.head("a").etag == first.etag


def test_a_replayed_conditional_delete_knows_its_effect(desk: Desk) -> None:
    seen, turn = desk.put("a").etag, Turn()
    desk.delete("a", call=desk.call(turn), if_match=seen)
    assert not desk.delete("a", call=desk.call(turn.replayed(), takeover=True), if_match=seen)
    assert desk.keys() == []


def test_a_replay_still_honours_its_condition(desk: Desk) -> None:
    turn = Turn()
    seen = desk.put("a", b"one", call=desk.call(turn), if_absent=True).etag
    desk.put("a", b"two")
    call = desk.call(turn.replayed(), takeover=True)
    with pytest.raises(AlreadyExists):
        desk.put("a", b"one", call=call, if_absent=True)
    with pytest.raises(PreconditionFailed):
        desk.delete("a", call=call, if_match=seen)
    assert desk.read("a") == b"two"


@pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("takeover", [False, True])
def test_an_op_id_used_anew_is_another_command(desk: Desk, size: int, takeover: bool) -> None:
    yesterday, today = b"y" * size, b"t" * size
    for content in (yesterday, today):
        # The same op_id, accepted twice: the ledger forgot the first, so the mark is another.
        call = desk.call(Turn.numbered(), takeover=takeover)
        answer = desk.put("a", content, call=call, op_id="nightly")
        assert answer.sha256 == hashlib.sha256(content).hexdigest()
        assert (answer.etag, answer.superseded) == (desk.head("a").etag, False)
        assert desk.read("a") == content


@pytest.mark.parametrize("takeover", [False, True])
def test_a_record_of_an_op_id_used_anew_is_renewed(desk: Desk, takeover: bool) -> None:
    for content in (b"yesterday", b"today"):
        desk.put("a", content)
        call = desk.call(Turn.numbered(), takeover=takeover)
        record = desk.register("a", call=call, op_id="nightly")
        assert (record.size, record.etag) == (len(content), desk.head("a").etag)


def test_a_takeover_of_a_register_that_was_not_done_finds_nothing(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.register("a", call=desk.call(takeover=True))
