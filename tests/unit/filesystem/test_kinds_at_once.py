"""Processes and threads on one tenant's streams and tables, and processes that are killed."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from signalbox.adapters.event_stream import EventStream
from signalbox.adapters.filesystem.stream_driver import FilesystemStreamDriver
from signalbox.adapters.filesystem.table_driver import FilesystemTableDriver
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.event_stream import AppendEvent, AppendResult, Event, ReadEvents
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.tabular_store import GetRow, RowCondition, UpsertRow
from tests.unit.filesystem.object_files import call_of

HERE = {"tenant_id": "t_a", "env": "dev"}


def open_stream(directory: Path) -> EventStream:
    scope = Scope(kind=ResourceKind.EVENT_STREAM, **HERE)
    return EventStream(FilesystemStreamDriver(str(directory / "base"), scope))


def _append_many(directory: Path, writer: int, acknowledged: Any) -> None:
    """Bulks of five, one of them an event that every writer appends, until it is killed."""
    with closing(open_stream(directory)) as stream:
        for number in itertools.count():
            names = [f"{writer}-{number}-{n}" for n in range(4)] + [f"shared-{number}"]
            commands = [
                AppendEvent(**HERE, stream="s", event=Event(id=name, type="t")) for name in names
            ]
            answers = stream.append_many([(command, call_of(command)) for command in commands])
            acknowledged.send(
                [
                    (answer.version, answer.event_id, answer.duplicate)
                    for answer in answers
                    if isinstance(answer, AppendResult)
                ]
            )


def _ids(directory: Path) -> list[str]:
    with closing(open_stream(directory)) as stream:
        found: list[str] = []
        while True:
            read = ReadEvents(**HERE, stream="s", after=len(found), limit=1000)
            events = stream.read(read, call_of(read)).events
            assert [e.version for e in events] == [*range(len(found) + 1, len(found + events) + 1)]
            if not events:
                return found
            found += [event.id for event in events]


def test_killed_writers_leave_no_gap_and_lose_nothing_acknowledged(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    pipes, writers = [], []
    for number in range(3):
        receiver, sender = context.Pipe(duplex=False)
        writer = context.Process(target=_append_many, args=(tmp_path, number, sender))
        writer.start()
        sender.close()
        pipes.append(receiver)
        writers.append(writer)
    acknowledged: list[tuple[int, str, bool]] = []
    for number, (receiver, writer) in enumerate(zip(pipes, writers, strict=True)):
        for received in itertools.count():
            if received == 20 + 7 * number:
                writer.kill()
            try:
                acknowledged += receiver.recv()
            except EOFError:
                break
        writer.join(300)
    ids = _ids(tmp_path)
    assert len(set(ids)) == len(ids)
    assert all(ids[version - 1] == event_id for version, event_id, _ in acknowledged)
    added = [event_id for _, event_id, duplicate in acknowledged if not duplicate]
    assert len(set(added)) == len(added)
    with closing(open_stream(tmp_path)) as stream:
        more = AppendEvent(**HERE, stream="s", event=Event(type="t"))
        assert stream.append(more, call_of(more)).version == len(ids) + 1


def test_a_counter_by_compare_and_swap_counts_every_step(tmp_path: Path) -> None:
    scope = Scope(kind=ResourceKind.TABULAR_STORE, **HERE)
    row = {**HERE, "table_name": "t", "key": "counter"}
    with (
        closing(TabularStore(FilesystemTableDriver(str(tmp_path / "base"), scope))) as store,
        ThreadPoolExecutor(8) as threads,
    ):

        def create(_: int) -> bool:
            condition = RowCondition(if_absent=True)
            command = UpsertRow(**row, data={"n": 0}, condition=condition)
            try:
                store.upsert(command, call_of(command))
            except AlreadyExists:
                return False
            return True

        def step(_: int) -> None:
            while True:
                get = GetRow(**row)
                there = store.get(get, call_of(get))
                command = UpsertRow(
                    **row,
                    data={"n": there.data["n"] + 1},
                    condition=RowCondition(if_revision=there.revision),
                )
                try:
                    store.upsert(command, call_of(command))
                except PreconditionFailed:
                    continue
                return

        assert sum(threads.map(create, range(8))) == 1
        list(threads.map(step, range(40)))
        get = GetRow(**row)
        assert store.get(get, call_of(get)).data == {"n": 40}
