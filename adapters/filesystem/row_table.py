"""Rows of tables in SQLite: what a write on one comes to, and the trace that it leaves.

A deleted row stays as a tombstone with the `seq` of its deletion, so that an older write that
comes late finds it. Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, Final

import apsw

from adapters.data_text import data_text, read_text
from adapters.port import Call
from adapters.row_condition import Trace, demand, kept_mark
from adapters.stored import unreadable
from adapters.window import micros
from commands.error import NotFound
from commands.tabular_store import (
    DeleteRow,
    DeleteRowResult,
    GetRow,
    Row,
    UpsertResult,
    UpsertRow,
)
from commands.value import Data

NAME = "tables.db"
VERSION = 2
# `gone` is when the row was deleted, in microseconds since 1970; `data` is null from then on.
# `mark` is as `kept_mark` gives it.
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
TOMBSTONE_KEPT: Final = timedelta(days=7)
"""Far longer than a worker can be frozen and still hold a command; as old as a backup of the
ledger may be when it is restored."""
PRUNED_MOST: Final = 100
"""Tombstones that one transaction removes."""

_FIND = """
SELECT key, seq, gone IS NOT NULL, mark
FROM carray(?) CROSS JOIN rows ON tab = ? AND key = CAST(value AS TEXT)
"""
_GET = """
SELECT key, data, seq FROM carray(?) CROSS JOIN rows
ON tab = (SELECT number FROM tables WHERE name = ?) AND key = CAST(value AS TEXT) AND gone IS NULL
"""

RowCommand = UpsertRow | DeleteRow
RowId = tuple[str, str]
"""Names of the table and of the row."""


class WriteTurn:
    """The writes of one transaction on the rows of `items`."""

    def __init__(
        self, connection: apsw.Connection, items: Sequence[tuple[RowCommand, Call]]
    ) -> None:
        self._connection = connection
        self._now = micros(datetime.now(UTC))
        self._prune()
        self._numbers: dict[str, int | None] = {}
        self._before: dict[RowId, tuple[Any, ...]] = {}
        self._after: dict[RowId, tuple[Call, int | None, str | None]] = {}
        for table_name, keys in _by_table(command for command, _ in items).items():
            self._find(table_name, keys)

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """As the port says."""
        superseded = self._write(command, call, None, command.data)
        return UpsertResult(
            table_name=command.table_name,
            key=command.key,
            revision=call.seq,
            superseded=superseded,
        )

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """As the port says; where there is no row either, a tombstone keeps older writes out."""
        superseded = self._write(command, call, self._now, None)
        return DeleteRowResult(
            table_name=command.table_name, key=command.key, superseded=superseded
        )

    def flush(self) -> None:
        """Write what the rows come to."""
        for table_name, _ in self._after:
            if self._numbers[table_name] is None:
                self._connection.execute("INSERT INTO tables (name) VALUES (?)", (table_name,))
                self._numbers[table_name] = self._connection.last_insert_rowid()
        self._connection.executemany(
            "INSERT OR REPLACE INTO rows (tab, key, seq, gone, data, mark) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                (self._numbers[table_name], key, call.seq, gone, data, kept_mark(call))
                for (table_name, key), (call, gone, data) in self._after.items()
            ),
        )

    def _write(self, command: RowCommand, call: Call, gone: int | None, data: Data | None) -> bool:
        """Whether a newer command's trace kept it out; nothing is written over its own either."""
        row = (command.table_name, command.key)
        trace = self._trace(row)
        demand(command, trace or Trace(), call)
        call.remaining()
        if trace is not None and trace.seq >= call.seq:
            return trace.supersedes(call)
        self._after[row] = (call, gone, None if data is None else data_text(data))
        return False

    def _trace(self, row: RowId) -> Trace | None:
        """What the last write on the row left; None if there never was one."""
        if row in self._after:
            call, gone, _ = self._after[row]
            return Trace(call.seq, gone is not None, kept_mark(call))
        if row not in self._before:
            return None
        seq, gone, mark = self._before[row]
        if type(seq) is not int or type(mark) not in (str, NoneType):
            raise unreadable("a row", TypeError())
        return Trace(seq, bool(gone), mark)

    def _find(self, table_name: str, keys: Sequence[str]) -> None:
        number = self._numbers[table_name] = _table_number(self._connection, table_name)
        found: Any = self._connection.execute(_FIND, (_asked(keys), number))
        for key, *trace in found:
            self._before[table_name, key] = tuple(trace)

    def _prune(self) -> None:
        before = self._now - micros_of(TOMBSTONE_KEPT)
        self._connection.execute(
            "DELETE FROM rows WHERE (tab, key) IN "
            "(SELECT tab, key FROM rows WHERE gone < ? ORDER BY gone LIMIT ?)",
            (before, PRUNED_MOST),
        )


def find_rows(connection: apsw.Connection, commands: Sequence[GetRow]) -> Callable[[GetRow], Row]:
    """What answers each of the commands. It raises NotFound, IntegrityMismatch."""
    found: dict[RowId, Any] = {}
    for table_name, keys in _by_table(commands).items():
        rows: Any = connection.execute(_GET, (_asked(keys), table_name))
        for row in rows:
            found[table_name, row[0]] = row

    def answer(command: GetRow) -> Row:
        row = found.get((command.table_name, command.key))
        if row is None:
            raise NotFound("there is no such row", next_step="check the table and the key")
        return row_of(*row)

    return answer


def row_of(key: str, data: str, seq: int) -> Row:
    """The row as it was stored. Its data is not checked anew; raises IntegrityMismatch."""
    if type(key) is not str or type(seq) is not int:
        raise unreadable("a row", TypeError())
    return Row.model_construct(key=key, data=read_text(data), revision=seq)


def micros_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _by_table(commands: Iterable[RowCommand | GetRow]) -> dict[str, list[str]]:
    """The keys that are asked for, by the table's name."""
    keys: dict[str, list[str]] = {}
    for command in commands:
        keys.setdefault(command.table_name, []).append(command.key)
    return keys


def _asked(keys: Sequence[str]) -> Any:
    # As bytes: text would end at a NUL.
    return apsw.carray(tuple(key.encode() for key in keys))


def _table_number(connection: apsw.Connection, name: str) -> int | None:
    found: Any = connection.execute("SELECT number FROM tables WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])
