"""Streams on SQLite: what the conformance suite cannot see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.event_stream import EventStream
from signalbox.adapters.filesystem.event_log import Session
from signalbox.adapters.filesystem.stream_driver import FilesystemStreamDriver
from signalbox.adapters.port import Call
from signalbox.commands.error import LeaseExpired, PreconditionFailed, SignalboxError, Unavailable
from signalbox.commands.event_stream import AppendEvent, AppendResult, Event, ReadEvents
from signalbox.commands.scope import ResourceKind, Scope
from tests.unit.filesystem.object_files import call_of, commits, instructions, rows

HERE = {"tenant_id": "t_a", "env": "dev"}


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[EventStream]:
    scope = Scope(kind=ResourceKind.EVENT_STREAM, **HERE)
    with closing(EventStream(FilesystemStreamDriver(str(tmp_path / "base"), scope))) as stream:
        yield stream


def append(name: str = "s", event_id: str | None = None, **fields: Any) -> AppendEvent:
    data = fields.pop("data", {})
    return AppendEvent(**HERE, stream=name, event=Event(id=event_id, type="t", data=data), **fields)


def items(*commands: AppendEvent, **fields: Any) -> list[tuple[AppendEvent, Call]]:
    return [(command, call_of(command, **fields)) for command in commands]


def versions(answers: list[AppendResult | SignalboxError]) -> list[int | str]:
    return [a.code if isinstance(a, SignalboxError) else a.version for a in answers]


def read(stream: EventStream, name: str = "s", **fields: Any) -> list[int]:
    command = ReadEvents(**HERE, stream=name, **fields)
    return [event.version for event in stream.read(command, call_of(command)).events]


def test_a_bulk_is_one_commit(stream: EventStream, own: Path) -> None:
    stream.append_many(items(append()))
    with commits(own / "events.db") as counted:
        stream.append_many(items(*[append(f"s{n % 3}") for n in range(100)]))
    assert counted() == 1


def test_a_refused_event_does_not_spoil_those_behind_it(stream: EventStream) -> None:
    answers = stream.append_many(
        items(append(), append(expected_version=7), append(expected_version=1), append("other"))
    )
    assert versions(answers) == [1, "PRECONDITION_FAILED", 2, 1]
    assert read(stream) == [1, 2]


def test_nothing_is_added_behind_an_event_whose_lease_ran_out(
    stream: EventStream,
) -> None:
    late = append()
    bulk = [
        *items(append()),
        (late, call_of(late, seconds=-1)),
        *items(append(), append("other")),
    ]
    assert versions(stream.append_many(bulk)) == [1, "LEASE_EXPIRED", "LEASE_EXPIRED", 1]
    assert read(stream) == [1]


def test_a_lease_that_runs_out_while_another_writes_adds_nothing(
    stream: EventStream, own: Path
) -> None:
    stream.append_many(items(append()))
    command = append()
    with closing(apsw.Connection(str(own / "events.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises((LeaseExpired, Unavailable)):
            stream.append(command, call_of(command, seconds=0.1))
        other.execute("ROLLBACK")
    assert read(stream) == [1]


def test_a_failed_commit_is_the_error_of_all_even_of_those_refused_by_what_is_gone_now(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.append_many(items(append("other")))
    first, second = append("s", "a"), append("s", "b", expected_version=0)
    with monkeypatch.context() as patched:
        patched.setattr(Session, "append", _failing)
        answers = stream.append_many(items(first, second, append("s", "c")))
    assert versions(answers) == ["UNAVAILABLE"] * 3
    assert read(stream) == []


def _failing(*_: object) -> None:
    raise apsw.IOError


def test_a_duplicate_within_a_bulk_names_the_first(stream: EventStream) -> None:
    one, two = append("s", "same"), append("s", "same")
    first, second, third = stream.append_many(items(one, two, append("s")))
    assert isinstance(first, AppendResult)
    assert isinstance(second, AppendResult)
    assert isinstance(third, AppendResult)
    assert [first.duplicate, second.duplicate, third.duplicate] == [False, True, False]
    assert [first.version, second.version, third.version] == [1, 1, 2]
    again = stream.append(one, call_of(one, takeover=True))
    assert (again.version, again.duplicate) == (1, False)


def test_a_refused_first_event_leaves_no_stream_behind(stream: EventStream, own: Path) -> None:
    command = append(expected_version=3)
    with pytest.raises(PreconditionFailed):
        stream.append(command, call_of(command))
    with closing(apsw.Connection(str(own / "events.db"))) as database:
        assert database.execute("SELECT count(*) FROM streams").fetchone() == (0,)


def test_readers_of_a_growing_stream_see_no_gap(stream: EventStream) -> None:
    done = threading.Event()

    def write(_: int) -> None:
        for _ in range(20):
            stream.append_many(items(*[append() for _ in range(5)]))

    def follow(_: int) -> list[int]:
        seen: list[int] = []
        while len(seen) < 300 and (not done.is_set() or read(stream, after=len(seen))):
            seen += read(stream, after=len(seen), limit=7)
        return seen

    stream.append_many([])
    with ThreadPoolExecutor(6) as threads:
        readers = threads.map(follow, range(3))
        list(threads.map(write, range(3)))
        done.set()
        for seen in readers:
            assert seen == list(range(1, 301))


def test_a_page_ends_near_a_mebibyte_of_text_of_any_script(stream: EventStream) -> None:
    stream.append_many(items(*[append(data={"t": "語" * 100_000}) for _ in range(8)]))
    assert read(stream) == [1, 2, 3, 4]
    assert read(stream, after=4) == [5, 6, 7, 8]


def test_a_place_beyond_64_bits_is_an_end(stream: EventStream) -> None:
    stream.append_many(items(append()))
    assert read(stream, after=2**80) == []


def test_a_read_costs_its_page(stream: EventStream, own: Path) -> None:
    for _ in range(20):
        stream.append_many(items(*[append() for _ in range(500)]))
    with instructions(own / "events.db") as counted:
        assert read(stream, after=9_000, limit=1) == [9_001]
        assert 0 < counted() < 1_000, "it looks at each of the 9,000 before"


def test_streams_of_the_release_before_go_on(tmp_path: Path, own: Path) -> None:
    scope = Scope(kind=ResourceKind.EVENT_STREAM, **HERE)
    with closing(EventStream(FilesystemStreamDriver(str(tmp_path / "base"), scope))) as before:
        first = append(event_id="e")
        assert before.append(first, call_of(first)).version == 1
    rename = "ALTER TABLE events RENAME COLUMN mark TO op_id; PRAGMA user_version = 1"
    rows(own, rename, "events.db")
    with closing(EventStream(FilesystemStreamDriver(str(tmp_path / "base"), scope))) as stream:
        assert stream.append(first, call_of(first)).version == 1
        second = append(event_id="f")
        assert stream.append(second, call_of(second)).version == 2
