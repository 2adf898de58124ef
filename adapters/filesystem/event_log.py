"""Events as rows: each stream's are numbered 1, 2, 3 and so on, and its last is its head.

Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator
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


class AppendTurn:
    """The appends of one transaction. It knows the heads, so each is looked up once."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._heads: dict[str, tuple[int | None, int]] = {}
        self._now = micros(datetime.now(UTC))

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        """As the port says."""
        number, version = self._head(command.stream)
        if command.expected_version in (None, version):
            call.remaining()
            if number is None:
                number = self._add_stream(command.stream)
            if self._insert(number, version + 1, command, call):
                self._heads[command.stream] = (number, version + 1)
                return _result(command, version + 1, duplicate=False)
        there = self._find(number, command, call)
        if there is not None:
            return there
        raise PreconditionFailed(
            f"the stream ends at version {version}, "
            f"expected_version demands {command.expected_version}",
            next_step="read on and decide anew",
        )

    def _head(self, stream: str) -> tuple[int | None, int]:
        """Number and last version of the stream; None and 0 while there is none."""
        if stream not in self._heads:
            found: Any = self._connection.execute(
                "SELECT number, (SELECT max(version) FROM events WHERE stream = number) "
                "FROM streams WHERE name = ?",
                (stream,),
            ).fetchone()
            number, version = found or (None, 0)
            if type(version) is not int:
                raise unreadable("a stream", TypeError())
            self._heads[stream] = (number, version)
        return self._heads[stream]

    def _add_stream(self, stream: str) -> int:
        self._connection.execute("INSERT INTO streams (name) VALUES (?)", (stream,))
        return self._connection.last_insert_rowid()

    def _insert(self, number: int, version: int, command: AppendEvent, call: Call) -> bool:
        event = command.event
        self._connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (stream, id) DO NOTHING",
            (
                number,
                version,
                command.event_id,
                event.type,
                None if event.time is None else micros(event.time),
                self._now,
                call.mark,
                data_text(event.data),
            ),
        )
        return self._connection.changes() == 1

    def _find(self, number: int | None, command: AppendEvent, call: Call) -> AppendResult | None:
        found: Any = self._connection.execute(
            "SELECT version, mark FROM events WHERE stream = ? AND id = ?",
            (number, command.event_id),
        ).fetchone()
        if found is None:
            return None
        return _result(command, found[0], duplicate=found[1] != call.mark)


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
