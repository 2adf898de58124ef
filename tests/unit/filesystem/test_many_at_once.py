"""Threads, processes and forks on one tenant."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.filesystem import object_write
from signalbox.adapters.filesystem.connection import POOL, most_idle
from signalbox.adapters.filesystem.content import ContentFile, ContentFolder
from signalbox.commands.error import (
    Contended,
    PreconditionFailed,
    Unavailable,
)
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.unit.filesystem.object_files import collect, files, item, open_objects, put_many


def _write_and_count(objects: ObjectCaller, number: int) -> None:
    # Each process continues a store that its parent has used. A spawned one knows of no patch.
    object_write.SMALL_BYTES = -1
    base = 1000 * (number + 1)
    put_many(
        objects,
        [
            item(objects, f"p{number}/{n}", call=objects.call(Acceptance(seq=base + n)))
            for n in range(10)
        ],
    )
    for n in range(10):
        objects.put(
            "shared", f"{number}".encode() * 500, call=objects.call(Acceptance(seq=base + 100 + n))
        )
        while True:
            stream = objects.stream("counter")
            value = int(stream.body.read())
            stream.body.close()
            # A put that is accepted later has a higher seq, and none has that of another.
            call = objects.call(Acceptance(seq=10 * (value + 1) + number))
            try:
                objects.put(
                    "counter", f"{value + 1}".encode(), if_match=stream.info.etag, call=call
                )
            except (PreconditionFailed, Contended, Unavailable):
                continue
            break


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_four_processes_write_one_tenant(objects: ObjectCaller, own: Path, method: str) -> None:
    objects.put("counter", b"0", call=objects.call(Acceptance(seq=1)))
    context: Any = multiprocessing.get_context(method)
    processes = [
        context.Process(target=_write_and_count, args=(objects, number)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 4
    assert objects.read("counter") == b"40"
    assert len(objects.keys("p")) == 40
    assert set(objects.read("shared")) == {ord("3")}
    assert len(files(own)) == 42
    assert collect(objects) == 0


def test_a_reader_finds_an_object_that_is_replaced_before_its_file_is_open(
    objects: ObjectCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("a", b"one")
    contents = [b"three", b"two"]

    def opened(self: ContentFolder, file: ContentFile, real: Any = ContentFolder.open) -> Any:
        if contents:
            objects.put("a", contents.pop())
        return real(self, file)

    monkeypatch.setattr(ContentFolder, "open", opened)
    assert objects.read("a") == b"three"


def test_an_open_stream_outlives_its_object(objects: ObjectCaller) -> None:
    objects.put("a", b"content")
    stream = objects.stream("a")
    objects.delete("a")
    assert stream.body.read() == b"content"
    stream.body.close()


def test_idle_connections_are_bounded_and_the_longest_unused_leaves_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(POOL, "limit", POOL.idle + 3)
    opened: list[str] = []
    monkeypatch.setattr(
        apsw, "connection_hooks", [lambda connection: opened.append(connection.filename)]
    )
    stores = [open_objects(tmp_path, f"t_{number}") for number in range(4)]
    for number in (0, 1, 2, 0, 3, 0, 2):
        stores[number].page()
        assert POOL.idle <= POOL.limit
    assert len(opened) == 4
    stores[1].page()
    assert len(opened) == 5
    for each in stores:
        each.store.close()


@pytest.mark.parametrize(
    ("files", "idle"), [(256, 64), (1024, 85), (4096, 341), (20_000, 1024), (-1, 1024)]
)
def test_idle_connections_leave_room_for_other_files(files: int, idle: int) -> None:
    assert most_idle(files) == idle


def _put_for_ever(objects: ObjectCaller, acknowledged: Any, start: int) -> None:
    for n in itertools.count(start):
        call = objects.call(Acceptance(seq=n))
        if n % 3:
            objects.put(f"d{n % 7}/{n % 50}", b"%d" % n * 3000, call=call)
        else:
            put_many(
                objects,
                [item(objects, f"d{n % 7}/{n % 50}", b"%d" % n * 3000, call=call)]
                + [
                    item(objects, f"bulk/{b}", b"b", call=objects.call(Acceptance(seq=n)))
                    for b in range(5)
                ],
            )
        acknowledged.send((f"d{n % 7}/{n % 50}", n))


def test_what_was_acknowledged_before_a_kill_is_there_whole(
    objects: ObjectCaller, own: Path
) -> None:
    context = multiprocessing.get_context("fork")
    newest: dict[str, int] = {}
    for round_ in range(6):
        receiver, sender = context.Pipe(duplex=False)
        args = (objects, sender, 1 + 100_000 * round_)
        process = context.Process(target=_put_for_ever, args=args)
        process.start()
        sender.close()
        for n in itertools.count():
            if n == 10 + 7 * round_:
                process.kill()
            try:
                key, number = receiver.recv()
            except EOFError:
                break
            newest[key] = number
        process.join(300)
        for key, number in newest.items():
            content = objects.read(key)
            # The put that was cut off may have happened or not.
            found = int(content[: len(content) // 3000])
            assert found >= number
            assert content == b"%d" % found * 3000
    rows = objects.page().objects
    assert all(len(objects.read(info.key)) == info.size for info in rows)
    collect(objects)
    assert len(files(own)) == len(rows)


def _put_one(objects: ObjectCaller, number: int) -> None:
    objects.put(f"child/{number}", call=objects.call(Acceptance(seq=10**9)))


def test_a_fork_amid_the_writes_of_other_threads_harms_neither(objects: ObjectCaller) -> None:
    context = multiprocessing.get_context("fork")
    ended = threading.Event()

    def write(number: int) -> int:
        for n in itertools.count():
            objects.put(f"thread/{number}", b"%d" % n)
            if ended.is_set():
                return n
        raise AssertionError

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, number) for number in range(4)]
        children = [context.Process(target=_put_one, args=(objects, n)) for n in range(8)]
        for child in children:
            child.start()
        for child in children:
            child.join(300)
        ended.set()
        last = [writer.result() for writer in writers]
    assert [child.exitcode for child in children] == [0] * 8
    assert len(objects.keys("child/")) == 8
    assert [objects.read(f"thread/{n}") for n in range(4)] == [b"%d" % n for n in last]
