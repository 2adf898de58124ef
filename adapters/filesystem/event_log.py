"""Events as rows: each stream's are numbered 1, 2, 3 and so on, and its last is its head.

Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw

from adapters.data_text import data_text, read_text
from adapters.port import Call
from adapters.row_query import PAGE_BYTES
from adapters.stored import UNREADABLE, unreadable
from adapters.window import micros, moment
from commands.error import PreconditionFailed
from commands.event_stream import (
    AppendEvent,
    AppendResult,
    EventsResult,
    ReadEvents,
    StoredEvent,
)
from commands.value import MAX_INT

NAME = "events.db"
VERSION = 2
# A number for each stream's name, so that events and their index are short. `mark` is of the
# command that added the event, which tells a repetition from a duplicate.
SCHEMA = """
CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
);
CREATE TABLE events (
    stream   INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,
    time     INTEGER,
    recorded INTEGER NOT NULL,
    mark     TEXT NOT NULL,
    data     TEXT NOT NULL,
    PRIMARY KEY (stream, version),
    UNIQUE (stream, id)
) WITHOUT ROWID;
"""
# In version 1 the marks were op_ids.
UPGRADES = {1: "ALTER TABLE events RENAME COLUMN op_id TO mark"}


_FIND = """
SELECT id, version, mark
FROM carray(?) CROSS JOIN events ON stream = ? AND id = CAST(value AS TEXT)
"""


class AppendTurn:
    """The appends of one transaction on the streams of `items`."""

    def __init__(
        self, connection: apsw.Connection, items: Sequence[tuple[AppendEvent, Call]]
    ) -> None:
        self._connection = connection
        self._now = micros(datetime.now(UTC))
        ids: dict[str, list[str]] = {}
        for command, _ in items:
            ids.setdefault(command.stream, []).append(command.event_id)
        self._streams = {stream: _Head(connection, stream, its) for stream, its in ids.items()}
        self._added: list[tuple[_Head, int, AppendEvent, Call]] = []

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """As the port says."""
        head = self._streams[command.stream]
        if type(head.version) is not int:
            raise unreadable("a stream", TypeError())
        there = head.events.get(command.event_id)
        if there is not None:
            version, mark = there
            return _result(command, version, duplicate=mark != call.mark)
        if command.expected_version not in (None, head.version):
            raise PreconditionFailed(
                f"the stream ends at version {head.version}, "
                f"expected_version demands {command.expected_version}",
                next_step="read on and decide anew",
            )
        call.remaining()
        head.version += 1
        head.events[command.event_id] = (head.version, call.mark)
        self._added.append((head, head.version, command, call))
        return _result(command, head.version, duplicate=False)

    def flush(self) -> None:
        """Write the events that were added."""
        self._connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._row(*added) for added in self._added),
        )

    def _row(self, head: _Head, version: int, command: AppendEvent, call: Call) -> tuple[Any, ...]:
        event = command.event
        return (
            head.number or head.enter(),
            version,
            command.event_id,
            event.type,
            None if event.time is None else micros(event.time),
            self._now,
            call.mark,
            data_text(event.data),
        )


class _Head:
    """Where a stream ends, and which of the asked events it holds."""

    def __init__(self, connection: apsw.Connection, stream: str, ids: Sequence[str]) -> None:
        self._connection = connection
        self._stream = stream
        found: Any = connection.execute(
            "SELECT number, (SELECT max(version) FROM events WHERE stream = number) "
            "FROM streams WHERE name = ?",
            (stream,),
        ).fetchone()
        self.number: int | None
        self.version: int
        self.number, self.version = found or (None, 0)
        self.events: dict[str, tuple[int, str]] = {}
        """Version and mark by id."""
        if self.number is not None:
            # As bytes: text would end at a NUL.
            asked = apsw.carray(tuple(each.encode() for each in ids))
            found = connection.execute(_FIND, (asked, self.number))
            self.events = {event_id: (version, mark) for event_id, version, mark in found}

    def enter(self) -> int:
        """Give the stream its number."""
        self._connection.execute("INSERT INTO streams (name) VALUES (?)", (self._stream,))
        self.number = self._connection.last_insert_rowid()
        return self.number


def read_events(connection: apsw.Connection, command: ReadEvents) -> EventsResult:
    """A page; reads no more than it gives."""
    events: list[StoredEvent] = []
    size = 0
    for event, length in _behind(connection, command):
        events.append(event)
        size += length
        if size > PAGE_BYTES:
            break
    next_after = events[-1].version if events else command.after
    return EventsResult(stream=command.stream, events=events, next_after=next_after)


def _behind(connection: apsw.Connection, command: ReadEvents) -> Iterator[tuple[StoredEvent, int]]:
    """Each event with the bytes of its data."""
    found: Any = connection.execute(
        "SELECT version, id, type, time, data, octet_length(data), recorded FROM events "
        "WHERE stream = (SELECT number FROM streams WHERE name = ?) AND version > ? "
        "ORDER BY version LIMIT ?",
        (command.stream, min(command.after, MAX_INT), command.limit),
    )
    for version, event_id, type_, time, data, length, recorded in found:
        if not (type(version) is type(length) is int and type(event_id) is type(type_) is str):
            raise unreadable("an event", TypeError())
        try:
            at, recorded_at = None if time is None else moment(time), moment(recorded)
        except UNREADABLE as error:
            raise unreadable("an event", error) from error
        yield (
            # Its data is not checked anew: it was when it came.
            StoredEvent.model_construct(
                version=version,
                id=event_id,
                type=type_,
                time=at,
                data=read_text(data),
                recorded_at=recorded_at,
            ),
            length,
        )


def _result(command: AppendEvent, version: int, *, duplicate: bool) -> AppendResult:
    return AppendResult(
        stream=command.stream, event_id=command.event_id, version=version, duplicate=duplicate
    )
