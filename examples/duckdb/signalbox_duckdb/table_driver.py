"""Tables in DuckDB: one database file for each tenant and env, used by one process at a time."""

# DuckDB waits for nobody: there is nothing to bound.
# ruff: noqa: ARG002

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from signalbox.adapters.data_text import data_text, read_text
from signalbox.adapters.name_list import NamePage, NameQuery, page_by_name
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.row_query import OrderKey, needed_texts
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import RowId, RowWrite, TableTraits, Way
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox_duckdb.config import DuckDBConfig, read_config
from signalbox_duckdb.failure import SERVICE

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    tab VARCHAR, key BLOB, seq BIGINT, gone TIMESTAMPTZ, data VARCHAR, mark VARCHAR,
    PRIMARY KEY (tab, key)
)
"""
_WRITE = """
INSERT INTO rows VALUES (?, ?, ?, CASE WHEN ? IS NULL THEN now() END, ?, ?)
ON CONFLICT (tab, key) DO UPDATE SET
seq = excluded.seq, gone = excluded.gone, data = excluded.data, mark = excluded.mark
"""
_FIND = "SELECT key, data, seq, gone IS NOT NULL, mark FROM rows WHERE tab = ? AND key = ?"
_NAMES = """
SELECT DISTINCT tab FROM rows WHERE starts_with(tab, ?) AND tab > ? ORDER BY tab LIMIT ?
"""
PAGE = 500

_locks: dict[str, threading.Lock] = {}


def open_driver(context: AdapterContext) -> DuckDBTableDriver:
    """The driver of one route. Raises InvalidRouteConfig; nothing is opened before a command."""
    return DuckDBTableDriver(read_config(context.config), context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_config(config)


class DuckDBTableDriver:
    """A TableDriver. A session is one transaction of the only writer."""

    service = SERVICE
    traits = TableTraits()

    def __init__(self, config: DuckDBConfig, scope: Scope) -> None:
        self.scope = scope
        self._folder = f"{config.base_dir}/tenants/{scope.tenant_id}/{scope.env}"
        self._path = f"{self._folder}/tables.duckdb"
        self._lock = _locks.setdefault(self._path, threading.Lock())
        self._opened: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        with self._lock, self._cursor(locked=True) as cursor:
            cursor.begin()
            try:
                yield _Session(cursor)
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def record(self, write: RowWrite) -> tuple[Any, ...]:
        table_name, key = write.row
        data = None if write.data is None else data_text(write.data)
        return (table_name, key.encode(), write.seq, data, data, write.mark)

    def size(self, record: tuple[Any, ...]) -> int:
        return len(record[3] or "")

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Any]:
        found: dict[RowId, Any] = {}
        with self._cursor() as cursor:
            for row in rows:
                there = cursor.execute(_FIND, (row[0], row[1].encode())).fetchone()
                if there is not None:
                    found[row] = there
        return found

    def row(self, stored: Sequence[Any]) -> Row | None:
        key, data, seq = stored[:3]
        if data is None:
            return None
        with readable("a row"):
            return Row.model_construct(
                key=bytes(key).decode(), data=read_text(data), revision=int(seq)
            )

    def ways(self, query: QueryRows, limit: TimeLimit) -> tuple[Way]:
        return (Way(ordered=query.order_by is None),)

    @contextmanager
    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> Iterator[Iterator[Row]]:
        descending = way.ordered and query.descending
        asked: list[Any] = [query.table_name]
        texts = needed_texts(query, data_text)
        where = "tab = ? AND gone IS NULL" + " AND contains(data, ?)" * len(texts)
        asked += texts
        if position is not None:
            where += f" AND key {'<' if descending else '>'} ?"
            asked.append(position[2])
        order = "ORDER BY key DESC" if descending else "ORDER BY key"
        with self._cursor() as cursor:
            statement = f"SELECT key, data, seq FROM rows WHERE {where} {order}"  # noqa: S608
            yield self._rows(cursor.execute(statement, asked))

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        asked = (query.prefix, query.position or "", query.count + 1)
        with self._cursor() as cursor:
            found = cursor.execute(_NAMES, asked).fetchall()
        return page_by_name([str(name) for (name,) in found], query.count)

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _rows(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[Row]:
        while stored := cursor.fetchmany(PAGE):
            for each in stored:
                if (row := self.row(each)) is not None:
                    yield row

    @contextmanager
    def _cursor(self, *, locked: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._opened is None:
            if locked:
                self._open()
            else:
                with self._lock:
                    self._open()
        assert self._opened is not None  # noqa: S101 - it was opened
        cursor = self._opened.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def _open(self) -> None:
        if self._opened is None:
            os.makedirs(self._folder, exist_ok=True)
            opened = duckdb.connect(self._path)
            opened.execute(_SCHEMA)
            self._opened = opened


class _Session:
    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def look(self, rows: Sequence[RowId]) -> dict[RowId, Trace]:
        self._cursor.execute("DELETE FROM rows WHERE gone < now() - ?::INTERVAL", (TOMBSTONE_KEPT,))
        found: dict[RowId, Trace] = {}
        for row in rows:
            there = self._cursor.execute(_FIND, (row[0], row[1].encode())).fetchone()
            if there is not None:
                with readable("a row"):
                    found[row] = Trace(int(there[2]), bool(there[3]), there[4])
        return found

    def write(self, records: Sequence[tuple[Any, ...]]) -> list[None]:
        for record in records:
            self._cursor.execute(_WRITE, record)
        return [None] * len(records)
