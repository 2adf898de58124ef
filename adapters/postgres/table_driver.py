"""Tables in PostgreSQL: rows of all tenants in one table of ours, keyed by tenant and env first.

A turn takes the rows' own locks, so that what it looked at is there still when it writes. A
tombstone is a row without data, and with the time from which it is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from signalbox.adapters.answer import not_asked
from signalbox.adapters.data_text import data_text, read_text
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.postgres.client import connected
from signalbox.adapters.postgres.config import PostgresConfig, read_config
from signalbox.adapters.postgres.failure import SERVICE
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.row_query import PAGE_BYTES, OrderKey, needed_texts
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import End, RowId, RowWrite, TableTraits
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import MAX_INT

PAGE: Final = 500
"""Rows fetched at once, and no more than PAGE_BYTES of them and the one that crosses it."""
_PRUNE = """
DELETE FROM rows WHERE (tenant, env, tab, key) IN (
    SELECT tenant, env, tab, key FROM rows WHERE gone < now() - %s::interval
    ORDER BY gone LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
_LOCK = """
SELECT pg_advisory_xact_lock(place) FROM (SELECT unnest(%s::bigint[]) AS place ORDER BY 1) AS places
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
SELECT key, data, seq, before FROM (
    SELECT key, data, seq,
        sum(octet_length(data)) OVER (ORDER BY key {direction} ROWS UNBOUNDED PRECEDING)
        - octet_length(data) AS before
    FROM rows
    WHERE tenant = %s AND env = %s AND tab = %s AND gone IS NULL AND {behind}{needed}
    ORDER BY key {direction} LIMIT %s
) AS page WHERE before <= %s ORDER BY key {direction}
"""


def open_driver(context: AdapterContext) -> PostgresTableDriver:
    """The driver of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return PostgresTableDriver(read_config(context.config), context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_config(config)


class PostgresTableDriver:
    """A TableDriver. A turn is one transaction of four statements, for any number of rows."""

    service = SERVICE
    traits = TableTraits()

    def __init__(self, config: PostgresConfig, scope: Scope) -> None:
        self._config = config
        self.scope = scope
        self._place = (scope.tenant_id, scope.env)

    @contextmanager
    def turn(self, limit: TimeLimit) -> Iterator[_Turn]:
        with connected(self._config, limit) as connection:
            yield _Turn(connection, self._place)

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
                asked = (*self._place, table_name, key.encode())
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

    @contextmanager
    def walk(
        self, query: QueryRows, place: OrderKey | None, limit: TimeLimit, *, plain: bool = False
    ) -> Iterator[Iterator[Row]]:
        with connected(self._config, limit) as connection:
            by_key = query.order_by is None and not plain
            yield self._rows(connection, query, place[2] if place and by_key else None)

    def close(self) -> None:
        """Nothing to give back: the connections belong to the process."""

    def _rows(
        self, connection: psycopg.Connection[Any], query: QueryRows, behind: bytes | None
    ) -> Iterator[Row]:
        """Rows in the order of their keys, in pages, as they are asked for."""
        sign, direction = ("<", "DESC") if query.descending and not query.order_by else (">", "ASC")
        first = None if query.order_by or query.filters else query.limit + 1
        texts = needed_texts(query, data_text)
        needed = " AND position(%s IN data) > 0" * len(texts)
        while True:
            place = "true" if behind is None else f"key {sign} %s"
            statement = _WALK.format(behind=place, needed=needed, direction=direction)
            most = min(PAGE, first or PAGE)
            values = [*self._place, query.table_name, *([] if behind is None else [behind]), *texts]
            with readable("a row"):
                found = connection.execute(statement, (*values, most, PAGE_BYTES)).fetchall()
            if len(found) > most:
                raise not_asked("more rows")
            size = 0
            for each in found:
                row, length = _row(each)
                key = row.key.encode()
                if behind is not None and (key >= behind if sign == "<" else key <= behind):
                    raise not_asked("rows in another order")
                behind = key
                size += length
                yield row
            # A page that was cut off by its size is not the last.
            if len(found) < most and size <= PAGE_BYTES:
                return
            first = None


class _Turn:
    """Locks the rows that it looks at until its transaction ends."""

    def __init__(self, connection: psycopg.Connection[Any], place: tuple[str, str]) -> None:
        self._connection = connection
        self._place = place

    def look(self, rows: Sequence[RowId]) -> dict[RowId, Trace]:
        self._connection.execute(_PRUNE, (TOMBSTONE_KEPT,))
        self._connection.execute(_LOCK, ([self._lock(row) for row in rows],))
        tables, keys = [name for name, _ in rows], [key.encode() for _, key in rows]
        with readable("a row"):
            found = self._connection.execute(_LOOK, (*self._place, tables, keys))
            return {(tab, bytes(key).decode()): _trace(*trace) for tab, key, *trace in found}

    def write(self, records: Sequence[tuple[Any, ...]]) -> list[End]:
        if records:
            columns = [list(column) for column in zip(*records, strict=True)]
            self._connection.execute(_WRITE, (*self._place, *columns))
        return [None] * len(records)

    def _lock(self, row: RowId) -> int:
        text = "\x1f".join((*self._place, *row)).encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)


def _row(found: Sequence[Any]) -> tuple[Row, int]:
    """The row, and the bytes of its data. Raises IntegrityMismatch; the data of a row that we wrote
    is not checked anew."""
    with readable("a row"):
        key, data, seq = found[:3]
        if type(data) is not str or type(seq) is not int or not 0 <= seq <= MAX_INT:
            raise TypeError
        row = Row.model_construct(key=bytes(key).decode(), data=read_text(data), revision=seq)
        return row, len(data) if data.isascii() else len(data.encode())


def _trace(seq: Any, gone: Any, mark: Any) -> Trace:
    if (
        type(seq) is not int
        or not 0 <= seq <= MAX_INT
        or type(gone) is not bool
        or not (mark is None or type(mark) is str)
    ):
        raise TypeError
    return Trace(seq, gone, mark)
