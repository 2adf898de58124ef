"""Small contents, which stand in the index itself."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.filesystem import object_index
from signalbox.adapters.filesystem.object_write import SMALL_BYTES
from signalbox.commands.error import AlreadyExists, IntegrityMismatch
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.unit.filesystem.object_files import (
    commits,
    files,
    item,
    open_objects,
    put_many,
    rows,
    take_back_marks,
)

pytestmark = pytest.mark.small


def contents(own: Path) -> int:
    return int(rows(own, "SELECT count(*) FROM contents")[0][0])


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES])
def test_a_small_content_needs_no_file(objects: ObjectCaller, own: Path, size: int) -> None:
    objects.put("a", b"x" * size)
    assert objects.read("a") == b"x" * size
    assert not (own / "raw").exists()


def test_a_larger_one_has_a_file(objects: ObjectCaller, own: Path) -> None:
    objects.put("a", b"x" * (SMALL_BYTES + 1))
    assert len(files(own)) == 1
    assert contents(own) == 0


def test_a_bulk_of_small_contents_is_one_transaction(objects: ObjectCaller, own: Path) -> None:
    objects.put("first")
    with commits(own / "objects.db") as count:
        put_many(objects, [item(objects, f"k{n}", b"%d" % n) for n in range(50)])
    assert count() == 1
    assert objects.read("k49") == b"49"


def test_small_and_large_in_one_bulk_each_replace_the_other(
    objects: ObjectCaller, own: Path
) -> None:
    large = b"L" * (SMALL_BYTES + 1)
    put_many(objects, [item(objects, "a", b"small"), item(objects, "b", large)])
    put_many(objects, [item(objects, "a", large), item(objects, "b", b"small")])
    assert (objects.read("a"), objects.read("b")) == (large, b"small")
    assert (len(files(own)), contents(own)) == (1, 1)


def test_what_is_replaced_deleted_or_refused_leaves_nothing(
    objects: ObjectCaller, own: Path
) -> None:
    objects.put("a", b"one")
    objects.put("a", b"two")
    with pytest.raises(AlreadyExists):
        objects.put("a", if_absent=True)
    assert contents(own) == 1
    objects.delete("a")
    assert contents(own) == 0


def test_an_older_command_writes_nothing_over_a_newer_one(objects: ObjectCaller, own: Path) -> None:
    late = Acceptance()
    objects.put("a", b"newer")
    objects.put("a", b"late", call=objects.call(late))
    objects.delete("a", call=objects.call(late))
    assert objects.read("a") == b"newer"
    assert contents(own) == 1


def test_a_content_that_is_gone_is_said_to_be_lost(objects: ObjectCaller, own: Path) -> None:
    objects.put("a", b"one")
    rows(own, "DELETE FROM contents")
    with pytest.raises(IntegrityMismatch):
        objects.read("a")


def test_an_index_of_the_release_before_goes_on(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_objects(tmp_path)
    large = b"L" * (SMALL_BYTES + 1)
    before.put("old", large)
    before.store.close()
    take_back_marks(own)
    rows(own, "DROP TABLE contents; PRAGMA user_version = 1")
    objects = open_objects(tmp_path)
    objects.put("new", b"small")
    assert (objects.read("old"), objects.read("new")) == (large, b"small")
    assert rows(own, "PRAGMA user_version") == [(object_index.VERSION,)]
    objects.store.close()


def _put_until_killed(objects: ObjectCaller, told: Any) -> None:
    for turn in range(1, 10**6):
        items = [
            item(objects, f"k{n}", b"%d" % turn, call=objects.call(Acceptance())) for n in range(20)
        ]
        put_many(objects, items)
        told.send(turn)


def test_what_was_acknowledged_before_a_kill_is_there_and_each_bulk_is_whole(
    objects: ObjectCaller,
) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_put_until_killed, args=(objects, sender))
    process.start()
    sender.close()
    told = 0
    while told < 25:
        told = receiver.recv()
    process.kill()
    process.join(300)
    with suppress(EOFError):
        while receiver.poll():
            told = receiver.recv()
    found = {int(objects.read(f"k{n}")) for n in range(20)}
    assert len(found) == 1
    assert min(found) >= told
