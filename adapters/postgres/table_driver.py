"""Table driver for PostgreSQL: rows of all tenants in one table, whose key begins with the scope.

A session locks its rows, so that they do not change between its look and its writes. A tombstone is
a row without data, with the time of the deletion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from signalbox.adapters.data_text import data_text
from signalbox.adapters.name_list import NamePage, NameQuery, page_by_name
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.postgres.client import connected
from signalbox.adapters.postgres.column_rank import (
    has_index,
    index_statement,
)
from signalbox.adapters.postgres.config import PostgresConfig, read_config
from signalbox.adapters.postgres.failure import SERVICE
from signalbox.adapters.postgres.row_walk import read_row, walk_rows
from signalbox.adapters.response_check import not_asked
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.row_query import (
    OrderKey,
)
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import End, RowId, RowWrite, Scan, TableTraits, Way
from signalbox.commands.clock import lease_clock
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import MAX_INT

INDEX_SECONDS: Final = 60.0
_PRUNE = """
DELETE FROM rows WHERE (tenant, env, tab, key) IN (
    SELECT tenant, env, tab, key FROM rows WHERE gone < now() - %s::interval
    ORDER BY gone LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
_LOCK = """
SELECT pg_advisory_xact_lock(id) FROM (SELECT unnest(%s::bigint[]) AS id ORDER BY 1) AS ids
"""
_LOOK = """
SELECT tab, key, seq, gone IS NOT NULL, mark FROM rows
WHERE tenant = %s AND env = %s AND (tab, key) IN (SELECT unnest(%s::text[]), unnest(%s::bytea[]))
"""
_WRITE = """
INSERT INTO rows (tenant, env, tab, key, seq, gone, data, mark)
SELECT %s, %s, tab, key, seq, CASE WHEN data IS NULL THEN now() END, data, mark
FROM unnest(%s::text[], %s::bytea[], %s::bigint[], %s::text[], %s::text[])
AS w (tab, key, seq, data, mark)
ON CONFLICT (tenant, env, tab, key) DO UPDATE
SET seq = excluded.seq, gone = excluded.gone, data = excluded.data, mark = excluded.mark
WHERE excluded.seq > rows.seq
"""
_GET = """
SELECT key, data, seq FROM rows
WHERE tenant = %s AND env = %s AND tab = %s AND key = %s AND gone IS NULL
"""

# From one name to the next by the index, whatever the tables hold. Its order is the database's own,
# so all names of the scope are found, and put into that of their bytes.
_NAMES = """
WITH RECURSIVE names (tab) AS (
    SELECT min(tab) FROM rows WHERE tenant = %(tenant)s AND env = %(env)s
    UNION ALL
    SELECT (
        SELECT min(tab) FROM rows
        WHERE tenant = %(tenant)s AND env = %(env)s AND tab > names.tab
    ) FROM names WHERE names.tab IS NOT NULL
)
SELECT tab FROM names WHERE starts_with(tab, %(prefix)s) AND tab COLLATE "C" > %(after)s
ORDER BY tab COLLATE "C" LIMIT %(limit)s
"""


def open_driver(context: AdapterContext) -> PostgresTableDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return PostgresTableDriver(read_config(context.config), context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config)


class PostgresTableDriver:
    """A TableDriver. A session is one transaction of four statements, for any number of rows."""

    service = SERVICE
    traits = TableTraits()

    def __init__(self, config: PostgresConfig, scope: Scope) -> None:
        self._config = config
        self.scope = scope
        self._tenant_env = (scope.tenant_id, scope.env)
        self._indexed = dict[str, float]()
        """Columns with an index, and until when that is taken for granted."""

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        with connected(self._config, limit) as connection:
            yield _Session(connection, self._tenant_env)

    def record(self, write: RowWrite) -> tuple[Any, ...]:
        """Return the values of the columns of `_WRITE`."""
        table_name, key = write.row
        data = None if write.data is None else data_text(write.data)
        return (table_name, key.encode(), write.seq, data, write.mark)

    def size(self, record: tuple[Any, ...]) -> int:
        return len(record[3] or "")

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Sequence[Any]]:
        found: dict[RowId, Sequence[Any]] = {}
        with connected(self._config, limit) as connection:
            for table_name, key in rows:
                asked = (*self._tenant_env, table_name, key.encode())
                with readable("a row"):
                    there = connection.execute(_GET, asked).fetchone()
                    if there is None:
                        continue
                    if bytes(there[0]) != asked[-1]:
                        raise not_asked("another row")
                    found[table_name, key] = there
        return found

    def row(self, stored: Sequence[Any]) -> Row:
        return read_row(stored)[0]

    def ways(self, query: QueryRows, limit: TimeLimit) -> tuple[Way]:
        """Return the only way: PostgreSQL filters and orders by any column.

        It scans unless one of the filters, or without filters the order, has an index.
        """
        columns = [test.column for test in query.filters]
        if not columns and query.order_by is not None:
            columns = [query.order_by]
        if not columns or query.allow_scan or self._has_index(columns, limit):
            return (Way(),)
        statement = index_statement(self._config.db_schema, columns[0])
        return (Way(scans=Scan.of(query, columns[0], f"Make its index: {statement}.")),)

    @contextmanager
    def walk(
        self,
        query: QueryRows,
        way: Way,  # noqa: ARG002
        position: OrderKey | None,
        limit: TimeLimit,
    ) -> Iterator[Iterator[Row]]:
        with connected(self._config, limit) as connection:
            yield walk_rows(connection, self._tenant_env, query, position)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        asked = {
            "tenant": self.scope.tenant_id,
            "env": self.scope.env,
            "prefix": query.prefix,
            "after": query.position or "",
            "limit": query.count + 1,
        }
        with connected(self._config, limit) as connection, readable("a name"):
            found = connection.execute(_NAMES, asked).fetchall()
            return page_by_name([_text(name) for (name,) in found], query.count)

    def close(self) -> None:
        """Do nothing: the connections belong to the process."""

    def _has_index(self, columns: Sequence[str], limit: TimeLimit) -> bool:
        """Return whether one of the columns has an index; an existing one is known for a minute."""
        now = lease_clock()
        if any(self._indexed.get(column, now) > now for column in columns):
            return True
        with connected(self._config, limit) as connection:
            found = [column for column in columns if has_index(connection, column)]
        self._indexed |= dict.fromkeys(found, now + INDEX_SECONDS)
        return bool(found)


class _Session:
    """Locks the rows that it looks at until its transaction ends."""

    def __init__(self, connection: psycopg.Connection[Any], tenant_env: tuple[str, str]) -> None:
        self._connection = connection
        self._tenant_env = tenant_env

    def look(self, rows: Sequence[RowId]) -> dict[RowId, Trace]:
        self._connection.execute(_PRUNE, (TOMBSTONE_KEPT,))
        self._connection.execute(_LOCK, ([self._lock(row) for row in rows],))
        tables, keys = [name for name, _ in rows], [key.encode() for _, key in rows]
        with readable("a row"):
            found = self._connection.execute(_LOOK, (*self._tenant_env, tables, keys))
            return {(tab, bytes(key).decode()): _trace(*trace) for tab, key, *trace in found}

    def write(self, records: Sequence[tuple[Any, ...]]) -> list[End]:
        if records:
            columns = [list(column) for column in zip(*records, strict=True)]
            self._connection.execute(_WRITE, (*self._tenant_env, *columns))
        return [None] * len(records)

    def _lock(self, row: RowId) -> int:
        text = "\x1f".join((*self._tenant_env, *row)).encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)


def _text(name: Any) -> str:
    if type(name) is not str:
        raise TypeError
    return name


def _trace(seq: Any, gone: Any, mark: Any) -> Trace:
    if (
        type(seq) is not int
        or not 0 <= seq <= MAX_INT
        or type(gone) is not bool
        or not (mark is None or type(mark) is str)
    ):
        raise TypeError
    return Trace(seq, gone, mark)
