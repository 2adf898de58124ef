"""Objects after a restore of the ledger: what was open at the backup runs again as a takeover, and
neither undoes what is newer nor brings back what was deleted since."""

from __future__ import annotations

import pytest

from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import Acceptance, ObjectCaller

KIND = ResourceKind.OBJECT_STORE
BACKENDS = {"filesystem"}

contents = pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
conditions = pytest.mark.parametrize("if_absent", [False, True])


@contents
@conditions
def test_a_restored_put_says_that_a_newer_one_is_there(
    objects: ObjectCaller, size: int, if_absent: bool
) -> None:
    acceptance = Acceptance()
    newer = objects.put("a", b"newer")
    call = objects.call(acceptance, takeover=True)
    assert objects.put("a", bytes(size), call=call, if_absent=if_absent).superseded
    assert (objects.read("a"), objects.head("a").etag) == (b"newer", newer.etag)


@contents
@conditions
def test_a_restored_put_does_not_bring_back_what_was_deleted(
    objects: ObjectCaller, size: int, if_absent: bool
) -> None:
    acceptance = Acceptance()
    objects.put("a", bytes(size), call=objects.call(acceptance), if_absent=if_absent)
    objects.delete("a")
    call = objects.call(acceptance, takeover=True)
    assert objects.put("a", bytes(size), call=call, if_absent=if_absent).superseded
    assert objects.keys() == []


def test_a_restored_put_does_not_come_behind_a_delete_of_nothing(objects: ObjectCaller) -> None:
    acceptance = Acceptance()
    objects.delete("a")
    assert objects.put("a", call=objects.call(acceptance, takeover=True)).superseded
    assert objects.keys() == []


def test_a_restored_delete_says_that_a_newer_object_is_there(objects: ObjectCaller) -> None:
    seen, acceptance = objects.put("a", b"old").etag, Acceptance()
    objects.put("a", b"newer")
    assert objects.delete("a", call=objects.call(acceptance, takeover=True))
    assert objects.delete("a", call=objects.call(acceptance, takeover=True), if_match=seen)
    assert objects.read("a") == b"newer"


def test_a_restored_delete_leaves_a_newer_deletion(objects: ObjectCaller) -> None:
    old, between = Acceptance(), Acceptance()
    objects.delete("a")
    assert objects.delete("a", call=objects.call(old, takeover=True))
    assert objects.put("a", call=objects.call(between, takeover=True)).superseded
    assert objects.keys() == []


def test_a_restored_history_ends_where_it_had_ended(objects: ObjectCaller) -> None:
    acceptances = [Acceptance() for _ in range(5)]

    def play(takeover: bool) -> list[bool]:
        calls = [objects.call(acceptance, takeover=takeover) for acceptance in acceptances]
        return [
            objects.put("a", b"one", call=calls[0]).superseded,
            objects.delete("a", call=calls[1]),
            objects.put("a", b"two", call=calls[2]).superseded,
            objects.delete("a", call=calls[3]),
            objects.put("b", b"three", call=calls[4]).superseded,
        ]

    assert play(takeover=False) == [False] * 5
    assert play(takeover=True) == [True, True, True, False, False]
    assert objects.keys() == ["b"]


def test_a_compare_and_swap_that_was_done_and_deleted_is_not_refused(objects: ObjectCaller) -> None:
    seen, swap, removal = objects.put("a", b"one").etag, Acceptance(), Acceptance()
    for takeover in (False, True):
        calls = [objects.call(acceptance, takeover=takeover) for acceptance in (swap, removal)]
        objects.put("a", b"two", call=calls[0], if_match=seen)
        assert not objects.delete("a", call=calls[1])
    assert objects.keys() == []


def test_a_restored_register_knows_its_record_though_the_object_is_gone(
    objects: ObjectCaller,
) -> None:
    objects.put("a")
    acceptance = Acceptance()
    first = objects.register("a", call=objects.call(acceptance))
    objects.delete("a")
    assert objects.register("a", call=objects.call(acceptance, takeover=True)) == first


def test_a_restored_register_says_that_a_newer_one_is_there(objects: ObjectCaller) -> None:
    objects.put("a", b"one")
    acceptance = Acceptance()
    objects.register("a", call=objects.call(acceptance), size_bytes=3)
    objects.put("a", b"newer")
    newer = objects.register("a", size_bytes=5)
    late = objects.register("a", call=objects.call(acceptance, takeover=True), size_bytes=3)
    assert late.superseded
    fresh = Acceptance()
    again = objects.register("a", call=objects.call(fresh), size_bytes=5)
    assert (again.etag, again.superseded) == (newer.etag, False)
