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
from signalbox.testing.desk import Desk, Turn
from tests.unit.filesystem.lab import (
    commits,
    files,
    item,
    open_desk,
    put_many,
    rows,
    take_back_marks,
)

pytestmark = pytest.mark.small


def contents(own: Path) -> int:
    return int(rows(own, "SELECT count(*) FROM contents")[0][0])


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES])
def test_a_small_content_needs_no_file(desk: Desk, own: Path, size: int) -> None:
    desk.put("a", b"x" * size)
    assert desk.read("a") == b"x" * size
    assert not (own / "raw").exists()


def test_a_larger_one_has_a_file(desk: Desk, own: Path) -> None:
    desk.put("a", b"x" * (SMALL_BYTES + 1))
    assert len(files(own)) == 1
    assert contents(own) == 0


def test_a_bulk_of_small_contents_is_one_transaction(desk: Desk, own: Path) -> None:
    desk.put("first")
    with commits(own / "objects.db") as count:
        put_many(desk, [item(desk, f"k{n}", b"%d" % n) for n in range(50)])
    assert count() == 1
    assert desk.read("k49") == b"49"


def test_small_and_large_in_one_bulk_each_replace_the_other(desk: Desk, own: Path) -> None:
    large = b"L" * (SMALL_BYTES + 1)
    put_many(desk, [item(desk, "a", b"small"), item(desk, "b", large)])
    put_many(desk, [item(desk, "a", large), item(desk, "b", b"small")])
    assert (desk.read("a"), desk.read("b")) == (large, b"small")
    assert (len(files(own)), contents(own)) == (1, 1)


def test_what_is_replaced_deleted_or_refused_leaves_nothing(desk: Desk, own: Path) -> None:
    desk.put("a", b"one")
    desk.put("a", b"two")
    with pytest.raises(AlreadyExists):
        desk.put("a", if_absent=True)
    assert contents(own) == 1
    desk.delete("a")
    assert contents(own) == 0


def test_an_older_command_writes_nothing_over_a_newer_one(desk: Desk, own: Path) -> None:
    late = Turn()
    desk.put("a", b"newer")
    desk.put("a", b"late", call=desk.call(late))
    desk.delete("a", call=desk.call(late))
    assert desk.read("a") == b"newer"
    assert contents(own) == 1


def test_a_content_that_is_gone_is_said_to_be_lost(desk: Desk, own: Path) -> None:
    desk.put("a", b"one")
    rows(own, "DELETE FROM contents")
    with pytest.raises(IntegrityMismatch):
        desk.read("a")


def test_an_index_of_the_release_before_goes_on(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_desk(tmp_path)
    large = b"L" * (SMALL_BYTES + 1)
    before.put("old", large)
    before.store.close()
    take_back_marks(own)
    rows(own, "DROP TABLE contents; PRAGMA user_version = 1")
    desk = open_desk(tmp_path)
    desk.put("new", b"small")
    assert (desk.read("old"), desk.read("new")) == (large, b"small")
    assert rows(own, "PRAGMA user_version") == [(object_index.VERSION,)]
    desk.store.close()


def _put_until_killed(desk: Desk, told: Any) -> None:
    for turn in range(1, 10**6):
        items = [item(desk, f"k{n}", b"%d" % turn, call=desk.call(Turn())) for n in range(20)]
        put_many(desk, items)
        told.send(turn)


def test_what_was_acknowledged_before_a_kill_is_there_and_each_bulk_is_whole(desk: Desk) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_put_until_killed, args=(desk, sender))
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
    found = {int(desk.read(f"k{n}")) for n in range(20)}
    assert len(found) == 1
    assert min(found) >= told
