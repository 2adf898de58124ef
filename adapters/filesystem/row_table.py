"""Rows of tables in SQLite: looking them up and writing them. A tombstone is a row without data.

The functions run within a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, Final

import apsw

from signalbox.adapters.data_text import read_text
from signalbox.adapters.metrics_page import micros
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.stored import damaged
from signalbox.adapters.table_driver import RowId
from signalbox.commands.documented import construct
from signalbox.commands.tabular_store import Row

NAME = "tables.db"
VERSION = 2
# `gone` is when the row was deleted, in microseconds since 1970; `data` is null then.
SCHEMA = """
CREATE TABLE tables (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
);
CREATE TABLE rows (
    tab  INTEGER NOT NULL,
    key  TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    gone INTEGER,
    data TEXT,
    mark TEXT,
    PRIMARY KEY (tab, key)
) WITHOUT ROWID;
CREATE INDEX tombstones ON rows (gone) WHERE gone IS NOT NULL;
"""
UPGRADES = {1: "ALTER TABLE rows ADD COLUMN mark TEXT"}
MAX_PRUNED: Final = 100
"""Maximum number of tombstones removed in one transaction."""

_FIND = """
SELECT key, seq, gone IS NOT NULL, mark
FROM carray(?) CROSS JOIN rows ON tab = ? AND key = CAST(value AS TEXT)
"""
_GET = """
SELECT key, data, seq FROM carray(?) CROSS JOIN rows
ON tab = (SELECT number FROM tables WHERE name = ?) AND key = CAST(value AS TEXT) AND gone IS NULL
"""

Record = tuple[str, str, int, str | None, str | None]
"""Table, key, `seq`, data (None for a tombstone) and mark."""


class Session:
    """A TableSession within one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._now = micros(datetime.now(UTC))
        self._numbers: dict[str, int | None] = {}

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        self._prune()
        found = _Traces()
        for table_name, keys in _by_table(rows).items():
            number = self._numbers[table_name] = _table_number(self._connection, table_name)
            for key, *trace in self._connection.execute(_FIND, (_asked(keys), number)):
                found.stored[table_name, key] = trace
        return found

    def write(self, records: Sequence[Record]) -> list[None]:
        for table_name, *_ in records:
            if self._numbers[table_name] is None:
                self._connection.execute("INSERT INTO tables (name) VALUES (?)", (table_name,))
                self._numbers[table_name] = self._connection.last_insert_rowid()
        self._connection.executemany(
            "INSERT OR REPLACE INTO rows (tab, key, seq, gone, data, mark) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                (self._numbers[table], key, seq, self._now if data is None else None, data, mark)
                for table, key, seq, data, mark in records
            ),
        )
        return [None] * len(records)

    def _prune(self) -> None:
        before = self._now - micros_of(TOMBSTONE_KEPT)
        self._connection.execute(
            "DELETE FROM rows WHERE (tab, key) IN "
            "(SELECT tab, key FROM rows WHERE gone < ? ORDER BY gone LIMIT ?)",
            (before, MAX_PRUNED),
        )


class _Traces(Mapping[RowId, Trace]):
    """The traces of rows.

    Each is read when it is accessed, so that an unreadable one is an error of its own row only.
    """

    def __init__(self) -> None:
        self.stored: dict[RowId, Sequence[Any]] = {}

    def __getitem__(self, row: RowId) -> Trace:
        seq, gone, mark = self.stored[row]
        if type(seq) is not int or type(mark) not in (str, NoneType):
            raise damaged("a row", TypeError())
        return Trace(seq, bool(gone), mark)

    def get(self, row: RowId, default: Any = None) -> Any:
        return self[row] if row in self.stored else default

    def __iter__(self) -> Iterator[RowId]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


def find_rows(connection: apsw.Connection, rows: Sequence[RowId]) -> dict[RowId, Any]:
    """Return what is stored of the existing rows, as `row_of` takes it."""
    found: dict[RowId, Any] = {}
    for table_name, keys in _by_table(rows).items():
        stored: Any = connection.execute(_GET, (_asked(keys), table_name))
        for row in stored:
            found[table_name, row[0]] = row
    return found


def row_of(key: str, data: str, seq: int) -> Row:
    """Return the row. Its data is not validated again. Raises IntegrityMismatch."""
    if type(key) is not str or type(seq) is not int:
        raise damaged("a row", TypeError())
    return construct(Row, {"key": key, "data": read_text(data), "revision": seq})


def micros_of(span: timedelta) -> int:
    """Return microseconds."""
    return span // timedelta(microseconds=1)


def _by_table(rows: Iterable[RowId]) -> dict[str, list[str]]:
    """Return the requested keys by table."""
    keys: dict[str, list[str]] = {}
    for table_name, key in rows:
        keys.setdefault(table_name, []).append(key)
    return keys


def _asked(keys: Sequence[str]) -> Any:
    # As bytes, since text would end at a NUL.
    return apsw.carray(tuple(key.encode() for key in keys))


def _table_number(connection: apsw.Connection, name: str) -> int | None:
    found: Any = connection.execute("SELECT number FROM tables WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])
