"""The SQLite index of a scope's objects, which decides what exists.

The functions run within a transaction of the caller.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

import apsw

from signalbox.adapters.filesystem.content import ContentFile
from signalbox.adapters.metrics_page import from_micros
from signalbox.adapters.object_attributes import MARK, SEQ, SHA256, info_of
from signalbox.adapters.object_driver import StoredObject
from signalbox.adapters.object_transaction import Gone
from signalbox.adapters.stored import damaged, readable
from signalbox.commands.error import IntegrityMismatch
from signalbox.commands.object_store import ObjectInfo

NAME = "objects.db"
VERSION = 3
# Keys as bytes: SQLite then orders them as required, and compares only bytes.
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
# In a separate table, so that lists do not read past contents.
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
# Before version 3 the marks were op_ids; an object's `seq` serves as well.
_MARKS = """
ALTER TABLE objects RENAME COLUMN op_id TO mark;
ALTER TABLE assets RENAME COLUMN op_id TO mark;
UPDATE assets SET mark = CAST(seq AS TEXT);
"""
UPGRADES = {1: _CONTENTS, 2: _MARKS + _TOMBSTONES}
COLUMNS = "key, file, size, etag, sha256, content_type, metadata, mark, seq, modified"

MAX_PRUNED: Final = 1000
"""Maximum number of tombstones removed in one transaction."""
SMALL = "#"
"""Prefix of the column `file` of a content in the index; no file's name begins with it."""

_FIND = f"SELECT {COLUMNS} FROM objects WHERE key = ?"  # noqa: S608 - constants
_SMALL = "(SELECT data FROM contents WHERE id = CAST(substr(file, 2) AS INTEGER))"
_WHOLE = f"{COLUMNS}, CASE substr(file, 1, 1) WHEN '{SMALL}' THEN {_SMALL} END"
_FIND_WHOLE = f"SELECT {_WHOLE} FROM objects WHERE key = ?"  # noqa: S608 - constants
_FIND_WHOLES = f"SELECT {_WHOLE} FROM carray(?) CROSS JOIN objects ON key = value"  # noqa: S608
_FIND_ROWS = f"SELECT {COLUMNS} FROM carray(?) CROSS JOIN objects ON key = value"  # noqa: S608
_FIND_TOMBSTONES = "SELECT key, mark, seq FROM carray(?) CROSS JOIN tombstones ON key = value"
Values = tuple[Any, ...]
"""The values of an object's columns, in order."""


class Row(NamedTuple):
    """One object in the index."""

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
    """Microseconds since 1970."""

    @property
    def content(self) -> ContentFile | int:
        """Path of the file below `raw/`, or id of a small content in the index."""
        with readable("the index of an object"):
            return int(self.file[1:]) if self.file[0] == SMALL else ContentFile.parse(self.file)

    def with_small(self, number: int) -> Values:
        """Return the values of this row with a content in the index."""
        return (self.key, f"{SMALL}{number}", *self[2:])

    def stored(self) -> StoredObject:
        """Return the row as a stored object. Raises IntegrityMismatch."""
        with readable("the index of an object"):
            beside = {MARK: self.mark, SEQ: str(self.seq), SHA256: self.sha256}
            metadata = json.loads(self.metadata) if self.metadata != "{}" else {}
            if type(metadata) is not dict:
                raise TypeError
            return StoredObject(
                self.size,
                self.etag,
                from_micros(self.modified),
                self.content_type,
                metadata,
                beside,
            )

    def info(self) -> ObjectInfo:
        """Return what is known of the object. Raises IntegrityMismatch."""
        with readable("the index of an object"):
            return info_of(self.stored(), self.key.decode())


class Tombstone(NamedTuple):
    """What a deletion leaves, so that a late older write finds it."""

    mark: str
    seq: int
    etag: None = None
    size: int = 0


def now() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


class Traces(Mapping[str, Row | Tombstone]):
    """What the last write on each key left.

    Each is checked when it is accessed, so that an unreadable one is an error of its own command
    only.
    """

    def __init__(self, stored: dict[str, Row | Tombstone]) -> None:
        self.stored = stored

    def __getitem__(self, key: str) -> Row | Tombstone:
        trace = self.stored[key]
        if isinstance(trace, Row):
            _ = checked(trace).content
        return trace

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self.stored else default

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


class Contents(Mapping[str, tuple[StoredObject, bytes | None]]):
    """Objects with their contents, None for one in a file; each is checked when it is accessed."""

    def __init__(self, wholes: dict[str, tuple[Row, bytes | None]]) -> None:
        self._wholes = wholes

    def __getitem__(self, key: str) -> tuple[StoredObject, bytes | None]:
        row, small = self._wholes[key]
        in_index = isinstance(checked(row).content, int)
        return row.stored(), whole(row, small) if in_index else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._wholes)

    def __len__(self) -> int:
        return len(self._wholes)


class Found(Mapping[str, StoredObject]):
    """Objects, each checked when it is accessed."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self._rows = rows

    def __getitem__(self, key: str) -> StoredObject:
        return checked(self._rows[key]).stored()

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def find(connection: apsw.Connection, key: str) -> Row | None:
    """Return the row of a key; None if there is none. Raises IntegrityMismatch."""
    found: Any = connection.execute(_FIND, (key.encode(),)).fetchone()
    return None if found is None else checked(Row(*found))


def find_whole(connection: apsw.Connection, key: str) -> tuple[Row, bytes | None] | None:
    """Return the row, and the content if it is in the index, by one statement."""
    found: Any = connection.execute(_FIND_WHOLE, (key.encode(),)).fetchone()
    return None if found is None else (checked(Row(*found[:-1])), found[-1])


def find_wholes(
    connection: apsw.Connection, keys: Iterable[str]
) -> dict[str, tuple[Row, bytes | None]]:
    """Do what `find_whole` does for many keys, without those that have no object.

    Each row must be `checked` before it is used.
    """
    by_bytes = {key.encode(): key for key in keys}
    found: Any = connection.execute(_FIND_WHOLES, (apsw.carray(tuple(by_bytes)),))
    return {by_bytes[row[0]]: (Row(*row[:-1]), row[-1]) for row in found}


def whole(row: Row, small: bytes | None) -> bytes:
    """Return the content of a row in the index. Raises IntegrityMismatch."""
    if small is None or len(small) != row.size:
        raise lost()
    return small


def lost() -> IntegrityMismatch:
    """Return the error for an object whose content is missing."""
    return IntegrityMismatch(
        "the content below raw/ is gone or has another size than the index says",
        next_step="restore the file, or put the object again",
    )


def find_rows(connection: apsw.Connection, keys: Iterable[str]) -> dict[str, Row]:
    """Return the rows of those keys that have one. Each must be `checked` before it is used."""
    by_bytes = {key.encode(): key for key in keys}
    found: Any = connection.execute(_FIND_ROWS, (apsw.carray(tuple(by_bytes)),))
    return {by_bytes[row[0]]: Row(*row) for row in found}


def find_traces(connection: apsw.Connection, keys: Iterable[str]) -> Traces:
    """Return what the last write on each key left: the object or a tombstone, if any."""
    by_bytes = {key.encode(): key for key in keys}
    found: Any = connection.execute(_FIND_TOMBSTONES, (apsw.carray(tuple(by_bytes)),))
    traces: dict[str, Row | Tombstone] = {
        by_bytes[key]: Tombstone(mark, seq) for key, mark, seq in found
    }
    traces.update(find_rows(connection, by_bytes.values()))
    return Traces(traces)


def checked(row: Row) -> Row:
    """Return the row. Raises IntegrityMismatch if Signalbox cannot have written it."""
    if not (type(row.size) is type(row.seq) is int):
        raise damaged("the index of an object", TypeError())
    return row


def store(connection: apsw.Connection, rows: Sequence[Values]) -> None:
    """Store rows."""
    _each(connection, "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def remove(connection: apsw.Connection, keys: Iterable[str]) -> None:
    """Remove the rows of these keys."""
    gone = [(key.encode(),) for key in keys]
    _each(connection, "DELETE FROM objects WHERE key = ?", gone)


def bury(connection: apsw.Connection, tombstones: Mapping[str, Gone]) -> None:
    """Store tombstones, in place of objects or where there were none."""
    gone = now()
    rows = [(key.encode(), each.mark, each.seq, gone) for key, each in tombstones.items()]
    _each(connection, "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?)", rows)


def lift(connection: apsw.Connection, keys: Iterable[str]) -> None:
    """Remove tombstones of keys that have objects again."""
    lifted = [(key.encode(),) for key in keys]
    _each(connection, "DELETE FROM tombstones WHERE key = ?", lifted)


def prune(connection: apsw.Connection, older_than: timedelta) -> bool:
    """Remove some of the tombstones older than this; return whether there may be more."""
    before = now() - older_than // timedelta(microseconds=1)
    connection.execute(
        "DELETE FROM tombstones WHERE key IN "
        "(SELECT key FROM tombstones WHERE gone < ? ORDER BY gone LIMIT ?)",
        (before, MAX_PRUNED),
    )
    return connection.changes() == MAX_PRUNED


def last_small(connection: apsw.Connection) -> int:
    """Return the highest id of a small content; under the writers' lock, higher ones are free."""
    found: Any = connection.execute("SELECT max(id) FROM contents").fetchone()
    return int(found[0] or 0)


def keep_small(connection: apsw.Connection, contents: Sequence[tuple[int, bytes]]) -> None:
    """Store small contents under their ids, replacing existing ones."""
    _each(connection, "INSERT OR REPLACE INTO contents VALUES (?, ?)", contents)


def forget_small(connection: apsw.Connection, numbers: Iterable[int]) -> None:
    """Remove small contents."""
    _each(connection, "DELETE FROM contents WHERE id = ?", [(each,) for each in numbers])


def _each(connection: apsw.Connection, statement: str, rows: Sequence[Values]) -> None:
    # Without rows it would take as long as with five.
    if rows:
        connection.executemany(statement, rows)
