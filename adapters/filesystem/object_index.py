"""The index of a scope's objects: its rows are the truth about what exists.

Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import apsw

from adapters.filesystem.content import ContentFile
from adapters.port import Call
from adapters.stored import readable, unreadable
from commands.object_store import AssetRecord, ObjectInfo

NAME = "objects.db"
VERSION = 3
# Keys as bytes: SQLite then orders them as the port demands, and compares nothing but bytes.
_OBJECTS = """
CREATE TABLE objects (
    key          BLOB PRIMARY KEY,
    file         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    etag         TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    content_type TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    mark         TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    modified     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE assets (
    key    BLOB PRIMARY KEY,
    record TEXT NOT NULL,
    mark   TEXT NOT NULL,
    seq    INTEGER NOT NULL
) WITHOUT ROWID;
"""
# A table of its own, so that lists read past none of it.
_CONTENTS = "CREATE TABLE contents (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
# `gone` is when the object was deleted, in microseconds since 1970.
_TOMBSTONES = """
CREATE TABLE tombstones (
    key  BLOB PRIMARY KEY,
    mark TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    gone INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oldest_tombstones ON tombstones (gone);
"""
SCHEMA = _OBJECTS + _CONTENTS + _TOMBSTONES
# Until version 2 the marks were op_ids.
_MARKS = """
ALTER TABLE objects RENAME COLUMN op_id TO mark;
ALTER TABLE assets RENAME COLUMN op_id TO mark;
"""
UPGRADES = {1: _CONTENTS, 2: _MARKS + _TOMBSTONES}
COLUMNS = "key, file, size, etag, sha256, content_type, metadata, mark, seq, modified"

TOMBSTONE_KEPT: Final = timedelta(days=7)
"""Far longer than a worker can be frozen and still hold a command; as old as a backup of the
ledger may be when it is restored."""
PRUNED_MOST: Final = 1000
"""Tombstones that one transaction removes."""
SMALL = "#"
"""How the place of a content begins that stands in the index; no file's name does."""

_FIND = f"SELECT {COLUMNS} FROM objects WHERE key = ?"  # noqa: S608 - constants
_SMALL = "(SELECT data FROM contents WHERE id = CAST(substr(file, 2) AS INTEGER))"
_FIND_WHOLE = (
    f"SELECT {COLUMNS}, CASE substr(file, 1, 1) WHEN '{SMALL}' THEN {_SMALL} END "  # noqa: S608
    "FROM objects WHERE key = ?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One object. `modified` is in microseconds since 1970."""

    key: bytes
    file: str
    size: int
    etag: str
    sha256: str
    content_type: str
    metadata: str
    mark: str
    seq: int
    modified: int

    @property
    def content(self) -> ContentFile | int:
        """The file below `raw/`, or the id of a small content in the index itself."""
        with readable("the index of an object"):
            return int(self.file[1:]) if self.file[0] == SMALL else ContentFile.parse(self.file)

    def info(self) -> ObjectInfo:
        with readable("the index of an object"):
            return ObjectInfo(
                key=self.key.decode(),
                size=self.size,
                etag=self.etag,
                modified=_EPOCH + timedelta(microseconds=self.modified),
                content_type=self.content_type,
                metadata=json.loads(self.metadata),
                sha256=self.sha256,
            )


class Tombstone(NamedTuple):
    """What a deletion leaves, so that an older write that comes late finds it."""

    mark: str
    seq: int


class Asset(NamedTuple):
    """An asset record, with the mark and number of the command that renewed it last."""

    record: AssetRecord
    mark: str
    seq: int


def now() -> int:
    return time.time_ns() // 1000


def is_of(trace: Row | Tombstone | Asset, call: Call) -> bool:
    """Whether this command left it. Its number tells it too: an older release kept op_ids."""
    return trace.mark == call.mark or trace.seq == call.seq


def find(connection: apsw.Connection, key: str) -> Row | None:
    found: Any = connection.execute(_FIND, (key.encode(),)).fetchone()
    return None if found is None else _checked(Row(*found))


def find_whole(connection: apsw.Connection, key: str) -> tuple[Row, bytes | None] | None:
    """The object, and its content if that stands in the index, by one statement."""
    found: Any = connection.execute(_FIND_WHOLE, (key.encode(),)).fetchone()
    return None if found is None else (_checked(Row(*found[:-1])), found[-1])


def _checked(row: Row) -> Row:
    if type(row.size) is not int or type(row.seq) is not int:
        raise unreadable("the index of an object", TypeError())
    return row


def find_trace(connection: apsw.Connection, key: str) -> Row | Tombstone | None:
    """What the last write on the key left: the object, or the tombstone of a deletion."""
    row = find(connection, key)
    if row is not None:
        return row
    found: Any = connection.execute(
        "SELECT mark, seq FROM tombstones WHERE key = ?", (key.encode(),)
    ).fetchone()
    return None if found is None else Tombstone(*found)


def store(connection: apsw.Connection, row: Row) -> None:
    connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def remove(connection: apsw.Connection, key: str, call: Call) -> None:
    """Leave a tombstone in place of the object, or where none was."""
    connection.execute("DELETE FROM objects WHERE key = ?", (key.encode(),))
    connection.execute(
        "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?)",
        (key.encode(), call.mark, call.seq, now()),
    )


def lift(connection: apsw.Connection, key: str) -> None:
    """Remove the tombstone: there is an object again."""
    connection.execute("DELETE FROM tombstones WHERE key = ?", (key.encode(),))


def prune(connection: apsw.Connection, older_than: timedelta) -> bool:
    """Remove some of the tombstones that are older; whether there may be more."""
    before = now() - older_than // timedelta(microseconds=1)
    connection.execute(
        "DELETE FROM tombstones WHERE key IN "
        "(SELECT key FROM tombstones WHERE gone < ? ORDER BY gone LIMIT ?)",
        (before, PRUNED_MOST),
    )
    return connection.changes() == PRUNED_MOST


def keep_small(connection: apsw.Connection, data: bytes) -> str:
    """Store a small content in the index; its place, for `Row.file`."""
    connection.execute("INSERT INTO contents (data) VALUES (?)", (data,))
    return f"{SMALL}{connection.last_insert_rowid()}"


def forget_small(connection: apsw.Connection, number: int) -> None:
    connection.execute("DELETE FROM contents WHERE id = ?", (number,))


def find_asset(connection: apsw.Connection, key: str) -> Asset | None:
    found: Any = connection.execute(
        "SELECT record, mark, seq FROM assets WHERE key = ?", (key.encode(),)
    ).fetchone()
    if found is None:
        return None
    record, mark, seq = found
    return Asset(AssetRecord.model_validate_json(record), mark, seq)


def store_asset(connection: apsw.Connection, record: AssetRecord, call: Call) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?)",
        (
            record.key.encode(),
            record.model_dump_json(exclude={"superseded"}),
            call.mark,
            call.seq,
        ),
    )
