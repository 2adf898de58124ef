"""Tables in PostgreSQL: rows of all tenants in one table of ours, keyed by tenant and env first.

Every write takes the row's own lock, looks, decides and writes in one transaction, fenced by
`seq`; a deleted row stays as a tombstone for a while.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg

from adapters.data_text import data_text, read_text
from adapters.port import AdapterContext, Call
from adapters.postgres.client import connected
from adapters.postgres.config import PostgresConfig, read_config
from adapters.postgres.failure import postgres_errors
from adapters.row_condition import Trace, demand, kept_mark
from adapters.row_query import PAGE_BYTES, open_place, page_of, page_of_unordered
from adapters.stored import not_asked, readable
from adapters.tabular_store import TabularStore
from commands.error import NotFound, SignalboxError
from commands.scope import Scope
from commands.tabular_store import (
    DeleteRow,
    DeleteRowResult,
    GetRow,
    QueryResult,
    QueryRows,
    Row,
    UpsertResult,
    UpsertRow,
)
from commands.value import MAX_INT

PAGE: Final = 500
"""Rows fetched at once, and no more than PAGE_BYTES of them and the one that crosses it."""
_PRUNE = """
DELETE FROM rows WHERE (tenant, env, tab, key) IN (
    SELECT tenant, env, tab, key FROM rows WHERE gone < now() - interval '7 days'
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
    WHERE tenant = %s AND env = %s AND tab = %s AND gone IS NULL AND {behind}
    ORDER BY key {direction} LIMIT %s
) AS page WHERE before <= %s ORDER BY key {direction}
"""

Write = UpsertRow | DeleteRow


def open_adapter(context: AdapterContext) -> TabularStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return PostgresTabularStore(read_config(context.config), context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_config(config)


class PostgresTabularStore:
    """The port on PostgreSQL."""

    def __init__(self, config: PostgresConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope
        self._place = (scope.tenant_id, scope.env)

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """As the port says; a bulk of one."""
        (answer,) = self.upsert_many([(command, call)])
        if isinstance(answer, SignalboxError):
            raise answer
        return answer

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """Many upserts in one transaction of a handful of statements; no row twice."""
        ended = self._write([(command, call) for command, call in items])
        return [
            end
            if isinstance(end, SignalboxError)
            else UpsertResult(
                table_name=command.table_name,
                key=command.key,
                revision=call.seq,
                superseded=end,
            )
            for (command, call), end in zip(items, ended, strict=True)
        ]

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """As the port says; where there is no row either, a tombstone keeps older writes out."""
        [end] = self._write([(command, call)])
        if isinstance(end, SignalboxError):
            raise end
        return DeleteRowResult(table_name=command.table_name, key=command.key, superseded=end)

    def get(self, command: GetRow, call: Call) -> Row:
        with (
            postgres_errors(self._scope),
            connected(self._config, call) as connection,
        ):
            asked = (*self._place, command.table_name, command.key.encode())
            with readable("a row"):
                found = connection.execute(_GET, asked).fetchone()
            if found is None:
                raise NotFound("there is no such row", next_step="check the table and the key")
            row, _ = _row(found)
            if row.key != command.key:
                raise not_asked("another row")
            return row

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        """By key it reads little more than the page; with `order_by` it reads the table."""
        with (
            postgres_errors(self._scope),
            connected(self._config, call) as connection,
        ):
            if command.order_by is not None:
                return page_of_unordered(command, self._walk(connection, command, None))
            place = open_place(command)
            return page_of(command, self._walk(connection, command, place[2] if place else None))

    def close(self) -> None:
        """Nothing to give back: the connections belong to the process."""

    def _write(self, items: Sequence[tuple[Write, Call]]) -> list[bool | SignalboxError]:
        """Decide and write all of them; whether each was superseded, or its error."""
        ended: dict[int, bool | SignalboxError] = {}
        open_calls: list[Call] = []
        for number, (_, call) in enumerate(items):
            try:
                call.remaining()
                open_calls.append(call)
            except SignalboxError as error:
                ended[number] = self._located(error)
        try:
            if open_calls:
                lease = min(open_calls, key=lambda call: call.deadline)
                with (
                    postgres_errors(self._scope),
                    connected(self._config, lease) as connection,
                ):
                    ended |= self._decide(connection, items, ended)
        except SignalboxError as error:
            # The transaction failed: what was refused in it counts no more either.
            return [error] * len(items)
        return [ended[number] for number in range(len(items))]

    def _decide(
        self,
        connection: psycopg.Connection[Any],
        items: Sequence[tuple[Write, Call]],
        ended: Mapping[int, bool | SignalboxError],
    ) -> dict[int, bool | SignalboxError]:
        """The ends of those that have none yet."""
        connection.execute(_PRUNE)
        connection.execute(_LOCK, ([self._lock(command) for command, _ in items],))
        traces = self._look(connection, items)
        ends: dict[int, bool | SignalboxError] = {}
        writes = []
        for number, (command, call) in enumerate(items):
            if number in ended:
                continue
            name = (command.table_name, command.key.encode())
            trace = traces.get(name, Trace())
            try:
                demand(command, trace, call)
                call.remaining()
            except SignalboxError as error:
                ends[number] = self._located(error)
                continue
            ends[number] = trace.supersedes(call)
            data = data_text(command.data) if isinstance(command, UpsertRow) else None
            writes.append((*name, call.seq, data, kept_mark(call)))
        if writes:
            columns = [list(column) for column in zip(*writes, strict=True)]
            connection.execute(_WRITE, (*self._place, *columns))
        return ends

    def _look(
        self, connection: psycopg.Connection[Any], items: Sequence[tuple[Write, Call]]
    ) -> dict[tuple[str, bytes], Trace]:
        tables = [command.table_name for command, _ in items]
        keys = [command.key.encode() for command, _ in items]
        with readable("a row"):
            rows = connection.execute(_LOOK, (*self._place, tables, keys))
            return {(tab, bytes(key)): Trace(*_trace(*trace)) for tab, key, *trace in rows}

    def _walk(
        self, connection: psycopg.Connection[Any], query: QueryRows, behind: bytes | None
    ) -> Iterator[Row]:
        """Rows in the order of their keys, in pages, as they are asked for."""
        sign, direction = ("<", "DESC") if query.descending and not query.order_by else (">", "ASC")
        first = None if query.order_by or query.filters else query.limit + 1
        while True:
            place = "true" if behind is None else f"key {sign} %s"
            statement = _WALK.format(behind=place, direction=direction)
            most = min(PAGE, first or PAGE)
            values = [*self._place, query.table_name, *([] if behind is None else [behind])]
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

    def _lock(self, command: Write) -> int:
        text = "\x1f".join((*self._place, command.table_name, command.key)).encode()
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def _located(self, error: SignalboxError) -> SignalboxError:
        scope = self._scope
        return error.at(
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type="postgres",
        )


def _row(found: Sequence[Any]) -> tuple[Row, int]:
    """The row, and the bytes of its data. Raises IntegrityMismatch; the data of a row that we wrote
    is not checked anew."""
    with readable("a row"):
        key, data, seq = found[:3]
        if type(data) is not str or type(seq) is not int or not 0 <= seq <= MAX_INT:
            raise TypeError
        row = Row.model_construct(key=bytes(key).decode(), data=read_text(data), revision=seq)
        return row, len(data) if data.isascii() else len(data.encode())


def _trace(seq: Any, gone: Any, mark: Any) -> tuple[int, bool, str | None]:
    if (
        type(seq) is not int
        or not 0 <= seq <= MAX_INT
        or type(gone) is not bool
        or not (mark is None or type(mark) is str)
    ):
        raise TypeError
    return seq, gone, mark
