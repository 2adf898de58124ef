"""Events of streams in SQLite, numbered 1, 2, 3 and so on in each stream.

The functions run within a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import apsw

from signalbox.adapters.data_text import data_text, read_text
from signalbox.adapters.metrics_page import from_micros, micros
from signalbox.adapters.stored import UNREADABLE, damaged
from signalbox.adapters.stream_driver import NewEvent, StreamEnd
from signalbox.commands.documented import construct
from signalbox.commands.event_stream import StoredEvent
from signalbox.commands.value import MAX_INT

NAME = "events.db"
VERSION = 2
# Each stream's name has a number, so that events and their index are short. `mark` is that of the
# command which appended the event, which tells its retry from a duplicate.
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


class Session:
    """A StreamSession within one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int | None] = {}
        self._recorded: tuple[datetime | None, int] = (None, 0)

    def look(self, wanted: Mapping[str, Collection[str]]) -> dict[str, StreamEnd]:
        return {stream: self._look(stream, ids) for stream, ids in wanted.items()}

    def record(self, event: NewEvent) -> tuple[Any, ...]:
        """Return the values of the event's row, with the stream's name in place of its number."""
        content = event.event
        if self._recorded[0] is not event.recorded_at:
            self._recorded = (event.recorded_at, micros(event.recorded_at))
        return (
            event.stream,
            event.version,
            event.id,
            content.type,
            None if content.time is None else micros(content.time),
            self._recorded[1],
            event.writer,
            data_text(content.data),
        )

    def append(self, records: Sequence[tuple[Any, ...]]) -> None:
        for stream, *_ in records:
            if self._numbers[stream] is None:
                self._connection.execute("INSERT INTO streams (name) VALUES (?)", (stream,))
                self._numbers[stream] = self._connection.last_insert_rowid()
        self._connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((self._numbers[record[0]], *record[1:]) for record in records),
        )

    def _look(self, stream: str, ids: Collection[str]) -> StreamEnd:
        found: Any = self._connection.execute(
            "SELECT number, (SELECT max(version) FROM events WHERE stream = number) "
            "FROM streams WHERE name = ?",
            (stream,),
        ).fetchone()
        number, version = found or (None, 0)
        self._numbers[stream] = number
        if number is None:
            return StreamEnd(version, {})
        # As bytes, since text would end at a NUL.
        asked = apsw.carray(tuple(each.encode() for each in ids))
        held: Any = self._connection.execute(_FIND, (asked, number))
        return StreamEnd(version, {event_id: (at, writer) for event_id, at, writer in held})


def read_events(
    connection: apsw.Connection, stream: str, after: int, count: int
) -> Iterator[tuple[StoredEvent, int]]:
    """Yield events with the size of their data in bytes, read when they are needed."""
    found: Any = connection.execute(
        "SELECT version, id, type, time, data, octet_length(data), recorded FROM events "
        "WHERE stream = (SELECT number FROM streams WHERE name = ?) AND version > ? "
        "ORDER BY version LIMIT ?",
        (stream, min(after, MAX_INT), count),
    )
    for version, event_id, type_, time, data, length, recorded in found:
        if not (type(version) is type(length) is int and type(event_id) is type(type_) is str):
            raise damaged("an event", TypeError())
        try:
            at, recorded_at = None if time is None else from_micros(time), from_micros(recorded)
        except UNREADABLE as error:
            raise damaged("an event", error) from error
        yield (
            # The data is not validated again, since it was when it arrived.
            construct(
                StoredEvent,
                {
                    "version": version,
                    "id": event_id,
                    "type": type_,
                    "time": at,
                    "data": read_text(data),
                    "recorded_at": recorded_at,
                },
            ),
            length,
        )
