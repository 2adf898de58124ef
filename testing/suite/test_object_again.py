"""Objects after a replay, or an op_id used anew: what is the command's own is known, and what is
another's is not taken for it."""

from __future__ import annotations

import hashlib

import pytest

from signalbox.commands.error import AlreadyExists, NotFound, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import Acceptance, ObjectCaller

KIND = ResourceKind.OBJECT_STORE


def test_an_object_may_be_put_again_behind_its_deletion(objects: ObjectCaller) -> None:
    objects.put("a", b"one")
    objects.delete("a")
    assert not objects.put("a", b"two", if_absent=True).superseded
    objects.delete("a")
    assert not objects.put("a", b"three", call=objects.call(takeover=True)).superseded
    assert objects.read("a") == b"three"


def test_an_ordinary_write_was_not_superseded(objects: ObjectCaller) -> None:
    acceptance = Acceptance()
    for takeover in (False, True):
        assert not objects.put("a", call=objects.call(acceptance, takeover=takeover)).superseded
        assert not objects.register("a").superseded
    acceptance = Acceptance()
    for takeover in (False, True):
        assert not objects.delete("a", call=objects.call(acceptance, takeover=takeover))


@pytest.mark.parametrize("condition", ["if_absent", "if_match"])
def test_a_replayed_put_knows_its_effect(objects: ObjectCaller, condition: str) -> None:
    seen = objects.put("a", b"before").etag if condition == "if_match" else None
    acceptance = Acceptance()
    first = objects.put(
        "a", b"x", call=objects.call(acceptance), if_absent=seen is None, if_match=seen
    )
    call = objects.call(acceptance.replayed(), takeover=True)
    again = objects.put("a", b"x", call=call, if_absent=seen is None, if_match=seen)
    assert again == first
    assert objects.head("a").etag == first.etag


def test_a_replayed_conditional_delete_knows_its_effect(objects: ObjectCaller) -> None:
    seen, acceptance = objects.put("a").etag, Acceptance()
    objects.delete("a", call=objects.call(acceptance), if_match=seen)
    assert not objects.delete(
        "a", call=objects.call(acceptance.replayed(), takeover=True), if_match=seen
    )
    assert objects.keys() == []


def test_a_replay_still_honours_its_condition(objects: ObjectCaller) -> None:
    acceptance = Acceptance()
    seen = objects.put("a", b"one", call=objects.call(acceptance), if_absent=True).etag
    objects.put("a", b"two")
    call = objects.call(acceptance.replayed(), takeover=True)
    with pytest.raises(AlreadyExists):
        objects.put("a", b"one", call=call, if_absent=True)
    with pytest.raises(PreconditionFailed):
        objects.delete("a", call=call, if_match=seen)
    assert objects.read("a") == b"two"


@pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("takeover", [False, True])
def test_an_op_id_used_anew_is_another_command(
    objects: ObjectCaller, size: int, takeover: bool
) -> None:
    yesterday, today = b"y" * size, b"t" * size
    for content in (yesterday, today):
        # The same op_id, accepted twice: the ledger forgot the first, so the mark is another.
        call = objects.call(Acceptance.numbered(), takeover=takeover)
        answer = objects.put("a", content, call=call, op_id="nightly")
        assert answer.sha256 == hashlib.sha256(content).hexdigest()
        assert (answer.etag, answer.superseded) == (objects.head("a").etag, False)
        assert objects.read("a") == content


@pytest.mark.parametrize("takeover", [False, True])
def test_a_record_of_an_op_id_used_anew_is_renewed(objects: ObjectCaller, takeover: bool) -> None:
    for content in (b"yesterday", b"today"):
        objects.put("a", content)
        call = objects.call(Acceptance.numbered(), takeover=takeover)
        record = objects.register("a", call=call, op_id="nightly")
        assert (record.size, record.etag) == (len(content), objects.head("a").etag)


def test_a_takeover_of_a_register_that_was_not_done_finds_nothing(objects: ObjectCaller) -> None:
    with pytest.raises(NotFound):
        objects.register("a", call=objects.call(takeover=True))
