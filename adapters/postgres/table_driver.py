"""Tables in PostgreSQL: rows of all tenants in one table of ours, keyed by tenant and env first.

A session takes the rows' own locks, so that what it looked at is there still when it writes. A
tombstone is a row without data, and with the time from which it is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from signalbox.adapters.data_text import data_text, read_text
from signalbox.adapters.name_list import NamePage, NameQuery, page_by_name
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.postgres.client import connected
from signalbox.adapters.postgres.column_rank import (
    RANK,
    UNRANKED,
    bounds_of,
    bytes_of,
    has_index,
    index_statement,
)
from signalbox.adapters.postgres.config import PostgresConfig, read_config
from signalbox.adapters.postgres.failure import SERVICE
from signalbox.adapters.response_check import not_asked
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.row_query import (
    PAGE_BYTES,
    OrderKey,
    has_rank,
    order_key,
    unranked_position,
)
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import End, RowId, RowWrite, Scan, TableTraits, Way
from signalbox.commands.clock import lease_clock
from signalbox.commands.documented import construct
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import MAX_INT

PAGE: Final = 500
"""Rows fetched at once, and no more than PAGE_BYTES of them and the one that crosses it."""
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
_WALK = """
SELECT key, data, seq FROM (
    SELECT key, data, seq, rank,
        sum(octet_length(data)) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING)
        - octet_length(data) AS before
    FROM (
        SELECT key, data, seq, {rank} AS rank FROM rows
        WHERE tenant = %s AND env = %s AND tab = %s AND gone IS NULL{conditions}
        ORDER BY {order} LIMIT %s
    ) AS found
) AS page WHERE before <= %s ORDER BY {order}
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
    """The driver of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return PostgresTableDriver(read_config(context.config), context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
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
        """Values of the columns of `_WRITE`."""
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
        return _row(stored)[0]

    def ways(self, query: QueryRows, limit: TimeLimit) -> tuple[Way]:
        """PostgreSQL filters and orders by any column; an index of one of the filters serves all of
        them, and the order."""
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
            yield self._rows(connection, query, position)

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
        """Nothing to give back: the connections belong to the process."""

    def _has_index(self, columns: Sequence[str], limit: TimeLimit) -> bool:
        """Whether one of the columns has an index; that one is there is asked once a minute."""
        now = lease_clock()
        if any(self._indexed.get(column, now) > now for column in columns):
            return True
        with connected(self._config, limit) as connection:
            found = [column for column in columns if has_index(connection, column)]
        self._indexed |= dict.fromkeys(found, now + INDEX_SECONDS)
        return bool(found)

    def _rows(
        self, connection: psycopg.Connection[Any], query: QueryRows, after: OrderKey | None
    ) -> Iterator[Row]:
        """Rows in the query's order, as they are asked for: those of a rank, and then the others,
        so that these are last in either direction."""
        if query.order_by is None:
            yield from self._stage(connection, query, after, _Stage())
            return
        ranked = after is None or after[:2] != unranked_position(query, b"")[:2]
        if ranked:
            yield from self._stage(connection, query, after, _Stage(RANK, query.order_by, "<"))
        if not has_rank(query):
            stage = _Stage(column=query.order_by, sign="=")
            yield from self._stage(connection, query, None if ranked else after, stage)

    def _stage(
        self,
        connection: psycopg.Connection[Any],
        query: QueryRows,
        after: OrderKey | None,
        stage: _Stage,
    ) -> Iterator[Row]:
        """In pages, as they are asked for."""
        sign, direction = ("<", "DESC") if query.descending else (">", "ASC")
        conditions, tested = stage.conditions(query)
        limit = min(PAGE, query.limit + 1)
        while True:
            later, reached = stage.later(query, after, sign)
            statement = _WALK.format(
                rank=stage.rank,
                conditions=conditions + later,
                order=f"rank {direction}, key {direction}" if stage.by_rank else f"key {direction}",
            )
            asked = [query.order_by] if stage.by_rank else []
            values = [
                *asked,
                *self._tenant_env,
                query.table_name,
                *tested,
                *reached,
                limit,
                PAGE_BYTES,
            ]
            with readable("a row"):
                # Planned for these values: an index of the column is seen only so.
                found = connection.execute(statement, values, prepare=False).fetchall()
            if len(found) > limit:
                raise not_asked("more rows")
            size = 0
            for each in found:
                row, length = _row(each)
                position = order_key(query, row)
                if after is not None and (
                    position >= after if query.descending else position <= after
                ):
                    raise not_asked("rows in another order")
                after = position
                size += length
                yield row
            # A page that was cut off by its size is not the last.
            if len(found) < limit and size <= PAGE_BYTES:
                return
            limit = PAGE


@dataclass(frozen=True)
class _Stage:
    """A part of a walk: all rows by key, or those with a rank in a column, or those without."""

    rank: str = "''::bytea"
    column: str | None = None
    sign: str = ""
    """How the column's rank compares with that of rows without one."""

    @property
    def by_rank(self) -> bool:
        return self.rank == RANK

    def conditions(self, query: QueryRows) -> tuple[str, list[Any]]:
        """Of the query's filters, and of the stage; with their values."""
        texts, values = [], list[Any]()
        if self.column is not None:
            texts.append(f" AND {RANK} {self.sign} %s")
            values += [self.column, UNRANKED]
        for test in query.filters:
            texts.append(f" AND {RANK} BETWEEN %s AND %s")
            values += [test.column, *bounds_of(test)]
        return "".join(texts), values

    def later(
        self, query: QueryRows, position: OrderKey | None, sign: str
    ) -> tuple[str, list[Any]]:
        """The condition of rows after a position, with its values."""
        if position is None:
            return "", []
        if self.by_rank:
            return f" AND ({RANK}, key) {sign} (%s, %s)", [
                query.order_by,
                bytes_of(position),
                position[2],
            ]
        return f" AND key {sign} %s", [position[2]]


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


def _row(found: Sequence[Any]) -> tuple[Row, int]:
    """The row, and the bytes of its data. Raises IntegrityMismatch; the data of a row that we wrote
    is not checked anew."""
    with readable("a row"):
        key, data, seq = found[:3]
        if type(data) is not str or type(seq) is not int or not 0 <= seq <= MAX_INT:
            raise TypeError
        row = construct(Row, {"key": bytes(key).decode(), "data": read_text(data), "revision": seq})
        return row, len(data) if data.isascii() else len(data.encode())


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
