"""Rows of tables in SQLite: what a write on one comes to, and the trace that it leaves.

A deleted row stays as a tombstone with the `seq` of its deletion, so that an older write that
comes late finds it. Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

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

_WRITE = """
INSERT INTO rows (tab, key, seq, gone, data, mark) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE
SET seq = excluded.seq, gone = excluded.gone, data = excluded.data, mark = excluded.mark
WHERE excluded.seq > rows.seq
"""


class WriteTurn:
    """The writes of one transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._tables: dict[str, int] = {}
        self._now = micros(datetime.now(UTC))
        self._prune()

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """As the port says."""
        condition = command.condition
        if condition.if_absent or condition.if_revision is not None:
            demand(command, self._trace(command), call)
        superseded = self._write(command, call, None, data_text(command.data))
        return UpsertResult(
            table_name=command.table_name,
            key=command.key,
            revision=call.seq,
            superseded=superseded,
        )

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """As the port says; where there is no row either, a tombstone keeps older writes out."""
        if command.if_revision is not None:
            demand(command, self._trace(command), call)
        superseded = self._write(command, call, self._now, None)
        return DeleteRowResult(
            table_name=command.table_name, key=command.key, superseded=superseded
        )

    def _write(
        self, command: UpsertRow | DeleteRow, call: Call, gone: int | None, data: str | None
    ) -> bool:
        """Whether a newer command's trace kept it out; nothing is written over its own either."""
        call.remaining()
        number = self._tables.get(command.table_name)
        if number is None:
            number = _table_number(self._connection, command.table_name)
            if number is None:
                self._connection.execute(
                    "INSERT INTO tables (name) VALUES (?)", (command.table_name,)
                )
                number = self._connection.last_insert_rowid()
            self._tables[command.table_name] = number
        self._connection.execute(
            _WRITE, (number, command.key, call.seq, gone, data, kept_mark(call))
        )
        return self._connection.changes() == 0 and self._trace(command).supersedes(call)

    def _trace(self, command: UpsertRow | DeleteRow) -> Trace:
        found: Any = self._connection.execute(
            "SELECT seq, gone IS NOT NULL, mark FROM rows "
            "WHERE tab = (SELECT number FROM tables WHERE name = ?) AND key = ?",
            (command.table_name, command.key),
        ).fetchone()
        if found is None:
            return Trace()
        seq, gone, mark = found
        if type(seq) is not int or type(mark) not in (str, NoneType):
            raise unreadable("a row", TypeError())
        return Trace(seq, bool(gone), mark)

    def _prune(self) -> None:
        before = self._now - micros_of(TOMBSTONE_KEPT)
        self._connection.execute(
            "DELETE FROM rows WHERE (tab, key) IN "
            "(SELECT tab, key FROM rows WHERE gone < ? ORDER BY gone LIMIT ?)",
            (before, PRUNED_MOST),
        )


def find_row(connection: apsw.Connection, command: GetRow) -> Row:
    """Raises NotFound."""
    found: Any = connection.execute(
        "SELECT key, data, seq FROM rows "
        "WHERE tab = (SELECT number FROM tables WHERE name = ?) AND key = ? AND gone IS NULL",
        (command.table_name, command.key),
    ).fetchone()
    if found is None:
        raise NotFound("there is no such row", next_step="check the table and the key")
    return row_of(*found)


def row_of(key: str, data: str, seq: int) -> Row:
    """The row as it was stored. Its data is not checked anew; raises IntegrityMismatch."""
    if type(key) is not str or type(seq) is not int:
        raise unreadable("a row", TypeError())
    return Row.model_construct(key=key, data=read_text(data), revision=seq)


def micros_of(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _table_number(connection: apsw.Connection, name: str) -> int | None:
    found: Any = connection.execute("SELECT number FROM tables WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])
