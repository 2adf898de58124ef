"""The index of a scope's objects: its rows are the truth about what exists.

Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import apsw

from adapters.filesystem.content import ContentFile
from commands.object_store import AssetRecord, ObjectInfo

NAME = "objects.db"
VERSION = 2
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
    op_id        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    modified     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE assets (
    key    BLOB PRIMARY KEY,
    record TEXT NOT NULL,
    op_id  TEXT NOT NULL,
    seq    INTEGER NOT NULL
) WITHOUT ROWID;
"""
# A table of its own, so that lists read past none of it.
_CONTENTS = "CREATE TABLE contents (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
SCHEMA = _OBJECTS + _CONTENTS
UPGRADES = {1: _CONTENTS}
COLUMNS = "key, file, size, etag, sha256, content_type, metadata, op_id, seq, modified"

SMALL = "#"
"""How the place of a content begins that stands in the index; no file's name does."""

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
    op_id: str
    seq: int
    modified: int

    @property
    def content(self) -> ContentFile | int:
        """The file below `raw/`, or the id of a small content in the index itself."""
        return int(self.file[1:]) if self.file[0] == SMALL else ContentFile.parse(self.file)

    def info(self) -> ObjectInfo:
        return ObjectInfo(
            key=self.key.decode(),
            size=self.size,
            etag=self.etag,
            modified=_EPOCH + timedelta(microseconds=self.modified),
            content_type=self.content_type,
            metadata=json.loads(self.metadata),
            sha256=self.sha256,
        )


def now() -> int:
    return time.time_ns() // 1000


def find(connection: apsw.Connection, key: str) -> Row | None:
    question = f"SELECT {COLUMNS} FROM objects WHERE key = ?"  # noqa: S608 - constants
    found: Any = connection.execute(question, (key.encode(),)).fetchone()
    return None if found is None else Row(*found)


def store(connection: apsw.Connection, row: Row) -> None:
    connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def remove(connection: apsw.Connection, key: str) -> None:
    connection.execute("DELETE FROM objects WHERE key = ?", (key.encode(),))


def keep_small(connection: apsw.Connection, data: bytes) -> str:
    """Store a small content in the index; its place, for `Row.file`."""
    connection.execute("INSERT INTO contents (data) VALUES (?)", (data,))
    return f"{SMALL}{connection.last_insert_rowid()}"


def find_small(connection: apsw.Connection, number: int) -> bytes | None:
    found: Any = connection.execute("SELECT data FROM contents WHERE id = ?", (number,)).fetchone()
    return None if found is None else found[0]


def forget_small(connection: apsw.Connection, number: int) -> None:
    connection.execute("DELETE FROM contents WHERE id = ?", (number,))


def find_asset(connection: apsw.Connection, key: str) -> tuple[AssetRecord, str, int] | None:
    """The asset record with the op_id and seq of the command that renewed it last."""
    found: Any = connection.execute(
        "SELECT record, op_id, seq FROM assets WHERE key = ?", (key.encode(),)
    ).fetchone()
    if found is None:
        return None
    record, op_id, seq = found
    return AssetRecord.model_validate_json(record), op_id, seq


def store_asset(connection: apsw.Connection, record: AssetRecord, op_id: str, seq: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?)",
        (record.key.encode(), record.model_dump_json(exclude={"superseded"}), op_id, seq),
    )
