"""Takeovers of object commands: running a command again has the same effect as running it once."""

from __future__ import annotations

import pytest

from signalbox.commands.error import NotFound, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import Acceptance, ObjectCaller

KIND = ResourceKind.OBJECT_STORE


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_put_that_was_done_is_not_done_again(objects: ObjectCaller, if_absent: bool) -> None:
    acceptance = Acceptance()
    first = objects.put("a", b"one", call=objects.call(acceptance), if_absent=if_absent)
    modified = objects.head("a").modified
    again = objects.put(
        "a", b"one", call=objects.call(acceptance, takeover=True), if_absent=if_absent
    )
    assert again == first
    assert objects.head("a").modified == modified


def test_a_compare_and_swap_that_was_done_is_not_refused(objects: ObjectCaller) -> None:
    seen, acceptance = objects.put("a", b"one").etag, Acceptance()
    first = objects.put("a", b"two", call=objects.call(acceptance), if_match=seen)
    again = objects.put("a", b"two", call=objects.call(acceptance, takeover=True), if_match=seen)
    assert again == first


def test_a_large_put_that_was_done_is_not_done_again(objects: ObjectCaller) -> None:
    acceptance, payload = Acceptance(), objects.payloads.stage([bytes(9 * 1024**2)])
    first = objects.put("a", payload, call=objects.call(acceptance), if_absent=True)
    again = objects.put("a", payload, call=objects.call(acceptance, takeover=True), if_absent=True)
    assert again == first


def test_a_put_that_was_not_done_is_done_now(objects: ObjectCaller) -> None:
    objects.put("a", b"before")
    objects.put("a", b"after", call=objects.call(takeover=True))
    objects.put("b", b"new", call=objects.call(takeover=True), if_absent=True)
    assert (objects.read("a"), objects.read("b")) == (b"after", b"new")


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_late_put_does_not_undo_a_newer_one(objects: ObjectCaller, if_absent: bool) -> None:
    late = Acceptance()
    newer = objects.put("a", b"newer")
    result = objects.put("a", b"late", call=objects.call(late, takeover=True), if_absent=if_absent)
    # It answers for itself: as if it had been done, and then overwritten.
    assert (result.key, result.size) == ("a", 4)
    assert result.etag != newer.etag
    assert objects.read("a") == b"newer"
    assert objects.head("a").etag == newer.etag


def test_a_late_delete_leaves_a_newer_object(objects: ObjectCaller) -> None:
    objects.put("a", b"old")
    late = Acceptance()
    objects.put("a", b"newer")
    objects.delete("a", call=objects.call(late, takeover=True))
    assert objects.read("a") == b"newer"


def test_a_delete_that_was_done_succeeds_again(objects: ObjectCaller) -> None:
    etag, acceptance = objects.put("a").etag, Acceptance()
    objects.delete("a", if_match=etag, call=objects.call(acceptance))
    objects.delete("a", if_match=etag, call=objects.call(acceptance, takeover=True))
    with pytest.raises(NotFound):
        objects.head("a")


def test_a_delete_that_was_not_done_is_done_now(objects: ObjectCaller) -> None:
    objects.put("a")
    objects.delete("a", call=objects.call(takeover=True))
    assert objects.keys() == []


def test_a_takeover_still_honours_the_condition_of_a_delete(objects: ObjectCaller) -> None:
    old = objects.put("a", b"one").etag
    objects.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        objects.delete("a", if_match=old, call=objects.call(takeover=True))
    assert objects.read("a") == b"two"


def test_a_takeover_still_honours_the_condition_of_a_put(objects: ObjectCaller) -> None:
    old = objects.put("a", b"one").etag
    objects.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        objects.put("a", b"three", if_match=old, call=objects.call(takeover=True))
    assert objects.read("a") == b"two"


def test_a_register_that_was_done_keeps_its_record(objects: ObjectCaller) -> None:
    objects.put("a")
    acceptance = Acceptance()
    first = objects.register("a", call=objects.call(acceptance))
    assert objects.register("a", call=objects.call(acceptance, takeover=True)) == first
