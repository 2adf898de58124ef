"""What a deletion leaves in the index, how long, and what a release before had left there."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from signalbox.adapters.filesystem import object_index
from signalbox.adapters.filesystem.object_index import MAX_PRUNED
from signalbox.adapters.row_condition import TOMBSTONE_KEPT
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.unit.filesystem.object_files import collect, open_objects, rows, take_back_marks

HOUR = timedelta(hours=1)


def tombstones(own: Path) -> list[str]:
    return [key.decode() for (key,) in rows(own, "SELECT key FROM tombstones ORDER BY key")]


def age(own: Path, by: timedelta) -> None:
    """Make every tombstone so much older."""
    micros = by // timedelta(microseconds=1)
    rows(own, f"UPDATE tombstones SET gone = gone - {micros}")  # noqa: S608 - a number


def test_a_deletion_leaves_a_tombstone_until_there_is_an_object_again(
    objects: ObjectCaller, own: Path
) -> None:
    objects.put("a")
    objects.delete("a")
    objects.delete("b")
    assert tombstones(own) == ["a", "b"]
    objects.put("a")
    assert (tombstones(own), objects.keys()) == (["b"], ["a"])


def test_the_clean_up_removes_tombstones_when_their_time_is_over(
    objects: ObjectCaller, own: Path
) -> None:
    frozen = Acceptance()
    objects.delete("old")
    age(own, TOMBSTONE_KEPT + HOUR)
    objects.delete("young")
    age(own, TOMBSTONE_KEPT - HOUR)
    collect(objects)
    assert tombstones(own) == ["young"]
    assert objects.put("young", call=objects.call(frozen, takeover=True)).superseded


def test_the_clean_up_removes_any_number_of_them(objects: ObjectCaller, own: Path) -> None:
    objects.delete("a")
    limit = 2 * MAX_PRUNED
    with closing(apsw.Connection(str(own / object_index.NAME))) as index, index:
        index.executemany(
            "INSERT INTO tombstones VALUES (?, '1', 1, 0)", ((b"k%d" % n,) for n in range(limit))
        )
    assert len(tombstones(own)) == limit + 1
    collect(objects)
    assert tombstones(own) == ["a"]


@pytest.mark.small
@pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
def test_an_index_without_marks_goes_on(tmp_path: Path, own: Path, size: int) -> None:
    before = open_objects(tmp_path)
    done, registered = Acceptance(), Acceptance()
    first = before.put("a", bytes(size), call=before.call(done), if_absent=True)
    record = before.register("a", call=before.call(registered))
    before.store.close()
    take_back_marks(own)
    objects = open_objects(tmp_path)
    # That release kept op_ids, which are no marks; the numbers still tell whose effect it is.
    numbered = [Acceptance(turn.seq, str(turn.seq)) for turn in (done, registered)]
    calls = [objects.call(turn, takeover=True) for turn in numbered]
    assert objects.put("a", bytes(size), call=calls[0], if_absent=True) == first
    assert objects.register("a", call=calls[1]) == record
    assert objects.read("a") == bytes(size)
    objects.delete("a")
    assert tombstones(own) == ["a"]
    assert rows(own, "PRAGMA user_version") == [(object_index.VERSION,)]
    objects.store.close()
