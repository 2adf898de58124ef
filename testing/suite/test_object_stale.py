"""Objects when a command that was run before comes again as if it were new: whatever is newer is
kept, and without anything newer it is a command like any other."""

from __future__ import annotations

import pytest

from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import Acceptance, ObjectCaller

KIND = ResourceKind.OBJECT_STORE


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_stale_put_leaves_what_was_deleted_since(objects: ObjectCaller, if_absent: bool) -> None:
    acceptance = Acceptance()
    objects.put("a", b"old", call=objects.call(acceptance), if_absent=if_absent)
    objects.delete("a")
    again = objects.call(acceptance, stale=True)
    objects.put("a", b"old", call=again, if_absent=if_absent)
    assert objects.keys() == []


def test_a_stale_put_leaves_what_was_put_since(objects: ObjectCaller) -> None:
    before = objects.put("a", b"before").etag
    acceptances = Acceptance(), Acceptance()
    objects.put("a", b"old", call=objects.call(acceptances[0]))
    objects.put("a", b"before")  # of the ETag that the second demands, on most backends
    objects.put("a", b"old", call=objects.call(acceptances[0], stale=True))
    try:
        again = objects.call(acceptances[1], stale=True)
        assert objects.put("a", b"old", call=again, if_match=before).superseded
    except PreconditionFailed:
        pass
    assert objects.read("a") == b"before"


def test_a_stale_delete_leaves_what_was_put_since(objects: ObjectCaller) -> None:
    etag = objects.put("a", b"same").etag
    acceptances = Acceptance(), Acceptance()
    objects.delete("a", call=objects.call(acceptances[0]))
    objects.put("a", b"same")
    assert objects.delete("a", call=objects.call(acceptances[0], stale=True))
    try:
        again = objects.call(acceptances[1], stale=True)
        assert objects.delete("a", call=again, if_match=etag)
    except PreconditionFailed:
        pass
    assert objects.read("a") == b"same"


def test_a_stale_delete_leaves_a_newer_tombstone(objects: ObjectCaller) -> None:
    first, second = Acceptance(), Acceptance()
    objects.delete("a")
    objects.delete("a", call=objects.call(first, stale=True))
    objects.put("a", b"old", call=objects.call(second, stale=True))
    assert objects.keys() == []


def test_with_nothing_newer_it_is_a_command_like_any_other(objects: ObjectCaller) -> None:
    with pytest.raises(PreconditionFailed):
        objects.delete("a", if_match=objects.put("b").etag, call=objects.call(stale=True))
    etag = objects.put("a", b"one", call=objects.call(stale=True), if_absent=True).etag
    with pytest.raises(AlreadyExists):
        objects.put("a", b"two", call=objects.call(stale=True), if_absent=True)
    objects.put("a", b"two", call=objects.call(stale=True), if_match=etag)
    objects.put("a", b"three", call=objects.call(stale=True))
    assert objects.read("a") == b"three"
    assert not objects.delete("a", call=objects.call(stale=True))
    assert objects.keys() == ["b"]
