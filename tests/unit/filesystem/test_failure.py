"""Whatever breaks, files and index agree: nothing is half there, and orphans are collected."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.filesystem import object_index
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.port import Call
from signalbox.commands.error import (
    InsufficientStorage,
    IntegrityMismatch,
    LeaseExpired,
    Misconfigured,
    NotFound,
    SignalboxError,
    Unavailable,
)
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.unit.filesystem.object_files import collect, files, open_objects

names_of_descriptors = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="reads /proc: run it on Linux"
)


@names_of_descriptors
def test_a_content_is_durable_before_its_row(
    objects: ObjectCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("docs/before")
    steps: list[str] = []

    def fsync(descriptor: int, real: Any = os.fsync) -> None:
        steps.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))[:3])
        real(descriptor)

    def rename(*args: Any, real: Any = os.rename, **more: Any) -> None:
        steps.append("rename")
        real(*args, **more)

    def store(*args: Any, real: Any = object_index.store) -> None:
        steps.append("row")
        real(*args)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(object_index, "store", store)
    objects.put("docs/a")
    assert steps == ["sync .a~", "rename", "sync doc", "row"]


@names_of_descriptors
def test_new_directories_are_synced_from_their_parents(
    objects: ObjectCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("a")
    synced: list[str] = []

    def fsync(descriptor: int, real: Any = os.fsync) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    objects.put("x/y/z")
    assert {"raw", "x", "y"} <= set(synced)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failed_sync_makes_nothing_visible(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    objects.put("a", b"before")
    calls = iter(range(1, 100))

    def fsync(descriptor: int, real: Any = os.fsync) -> None:
        if next(calls) == failing:
            raise OSError(errno.EIO, "fails")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(Unavailable):
            objects.put("a", b"after")
    assert objects.read("a") == b"before"
    assert len(files(own)) == 1


def _put_on_a_small_disk(objects: ObjectCaller, answers: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
    try:
        objects.put("a", bytes(2 * 1024 * 1024))
    except SignalboxError as error:
        answers.put(error.detail())


def test_a_full_disk_is_reported_and_stores_nothing(objects: ObjectCaller, own: Path) -> None:
    objects.put("a", b"before")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_put_on_a_small_disk, args=(objects, answers))
    process.start()
    detail = answers.get(timeout=300)
    process.join(300)
    assert (detail.code, detail.temporary) == (InsufficientStorage.code, True)
    assert (detail.kind, detail.backend_type) == ("object_store", "filesystem")
    assert (detail.tenant_id, detail.env) == ("t_a", "dev")
    assert detail.next_step
    assert objects.read("a") == b"before"
    assert len(files(own)) == 1


def test_a_full_index_is_reported_and_stores_nothing(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("a", b"before")

    def store(*_: Any) -> None:
        raise apsw.FullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(object_index, "store", store)
        with pytest.raises(InsufficientStorage):
            objects.put("a", b"after")
    assert objects.read("a") == b"before"
    assert len(files(own)) == 1


def test_a_commit_whose_answer_is_lost_keeps_both_files(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("a", b"before")

    @contextmanager
    def writing(self: Database, seconds: float, real: Any = Database.writing) -> Iterator[Any]:
        with real(self, seconds) as connection:
            yield connection
        raise apsw.IOError("the sync of the commit failed")

    turn = Acceptance()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", writing)
        with pytest.raises(Unavailable):
            objects.put("a", b"after", call=objects.call(turn))
    assert objects.read("a") == b"after"
    assert len(files(own)) == 2
    objects.put("a", b"after", call=objects.call(turn, takeover=True))
    assert collect(objects) == 1
    assert objects.read("a") == b"after"


def test_a_busy_index_is_waited_for_no_longer_than_the_lease(
    objects: ObjectCaller, own: Path
) -> None:
    objects.put("a", b"before")
    other = apsw.Connection(str(own / "objects.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises((Unavailable, LeaseExpired)):
        objects.put("a", b"after", call=objects.call(seconds=0.1))
    other.close()
    assert objects.read("a") == b"before"
    assert len(files(own)) == 1


def test_a_lease_that_ends_while_the_content_is_written_stores_nothing(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remaining(_: Call) -> float:
        raise LeaseExpired("the lease ran out")

    monkeypatch.setattr(Call, "remaining", remaining)
    with pytest.raises(LeaseExpired):
        objects.put("a")
    assert files(own) == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda index: index.write_bytes(b"no database" * 1000), id="garbage"),
        pytest.param(lambda index: apsw.Connection(str(index)).pragma("user_version", 99), id="99"),
    ],
)
def test_an_index_that_cannot_be_used_is_misconfigured(
    objects: ObjectCaller, own: Path, spoil: Any
) -> None:
    objects.put("a")
    objects.store.close()
    spoil(own / "objects.db")
    with pytest.raises(Misconfigured) as refused:
        objects.head("a")
    assert refused.value.next_step


def test_a_lost_content_is_told_apart_from_a_missing_object(
    objects: ObjectCaller, own: Path
) -> None:
    objects.put("a", b"content")
    content = own / "raw" / files(own)[0]
    content.write_bytes(b"cut")
    with pytest.raises(IntegrityMismatch):
        objects.read("a")
    content.unlink()
    with pytest.raises(IntegrityMismatch):
        objects.read("a")


def test_a_store_goes_on_when_its_directory_was_removed(
    objects: ObjectCaller, tmp_path: Path
) -> None:
    objects.put("a")
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(NotFound):
        objects.head("a")
    objects.put("b/c", b"new")
    objects.store.close()
    assert open_objects(tmp_path).read("b/c") == b"new"


def test_a_crash_before_the_commit_leaves_an_orphan_that_is_collected(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("docs/kept", b"kept")

    def crash(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(object_index, "store", crash)
        with pytest.raises(SystemExit):
            objects.put("docs/lost")
    (own / "raw/docs/.half~1-2").write_bytes(b"half")
    assert len(files(own)) == 3
    assert collect(objects, timedelta(hours=1)) == 0
    assert collect(objects) == 2
    assert objects.read("docs/kept") == b"kept"
    assert len(files(own)) == 1
    assert collect(objects) == 0


def test_there_are_no_orphans_where_nothing_was_written(objects: ObjectCaller) -> None:
    assert collect(objects) == 0
