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
from signalbox.testing.desk import Desk, Turn
from tests.unit.filesystem.lab import collect, open_desk, rows, take_back_marks

HOUR = timedelta(hours=1)


def tombstones(own: Path) -> list[str]:
    return [key.decode() for (key,) in rows(own, "SELECT key FROM tombstones ORDER BY key")]


def age(own: Path, by: timedelta) -> None:
    """Make every tombstone so much older."""
    micros = by // timedelta(microseconds=1)
    rows(own, f"UPDATE tombstones SET gone = gone - {micros}")  # noqa: S608 - a number


def test_a_deletion_leaves_a_tombstone_until_there_is_an_object_again(
    desk: Desk, own: Path
) -> None:
    desk.put("a")
    desk.delete("a")
    desk.delete("b")
    assert tombstones(own) == ["a", "b"]
    desk.put("a")
    assert (tombstones(own), desk.keys()) == (["b"], ["a"])


def test_the_clean_up_removes_tombstones_when_their_time_is_over(desk: Desk, own: Path) -> None:
    frozen = Turn()
    desk.delete("old")
    age(own, TOMBSTONE_KEPT + HOUR)
    desk.delete("young")
    age(own, TOMBSTONE_KEPT - HOUR)
    collect(desk)
    assert tombstones(own) == ["young"]
    assert desk.put("young", call=desk.call(frozen, takeover=True)).superseded


def test_the_clean_up_removes_any_number_of_them(desk: Desk, own: Path) -> None:
    desk.delete("a")
    limit = 2 * MAX_PRUNED
    with closing(apsw.Connection(str(own / object_index.NAME))) as index, index:
        index.executemany(
            "INSERT INTO tombstones VALUES (?, '1', 1, 0)", ((b"k%d" % n,) for n in range(limit))
        )
    assert len(tombstones(own)) == limit + 1
    collect(desk)
    assert tombstones(own) == ["a"]


@pytest.mark.small
@pytest.mark.parametrize("size", [3, 100_000], ids=["small", "large"])
def test_an_index_without_marks_goes_on(tmp_path: Path, own: Path, size: int) -> None:
    before = open_desk(tmp_path)
    done, registered = Turn(), Turn()
    first = before.put("a", bytes(size), call=before.call(done), if_absent=True)
    record = before.register("a", call=before.call(registered))
    before.store.close()
    take_back_marks(own)
    desk = open_desk(tmp_path)
    # That release kept op_ids, which are no marks; the numbers still tell whose effect it is.
    numbered = [Turn(turn.seq, str(turn.seq)) for turn in (done, registered)]
    calls = [desk.call(turn, takeover=True) for turn in numbered]
    assert desk.put("a", bytes(size), call=calls[0], if_absent=True) == first
    assert desk.register("a", call=calls[1]) == record
    assert desk.read("a") == bytes(size)
    desk.delete("a")
    assert tombstones(own) == ["a"]
    assert rows(own, "PRAGMA user_version") == [(object_index.VERSION,)]
    desk.store.close()
