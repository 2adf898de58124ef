"""Reads the rows of a query from PostgreSQL in order, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from signalbox.adapters.data_text import read_text
from signalbox.adapters.postgres.column_rank import RANK, UNRANKED, bounds_of, bytes_of
from signalbox.adapters.response_check import not_asked
from signalbox.adapters.row_query import (
    PAGE_BYTES,
    OrderKey,
    has_rank,
    order_key,
    unranked_position,
)
from signalbox.adapters.stored import readable
from signalbox.commands.documented import construct
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import MAX_INT

PAGE: Final = 500
"""Maximum rows of a page. It ends with the row that crosses PAGE_BYTES."""
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


def walk_rows(
    connection: psycopg.Connection[Any],
    tenant_env: tuple[str, str],
    query: QueryRows,
    after: OrderKey | None,
) -> Iterator[Row]:
    """Return the rows in the query's order after a position, read when they are requested.

    Rows with a rank come first, and then the others, so that these are last in either direction.
    """
    if query.order_by is None:
        yield from _walk_stage(connection, tenant_env, query, after, _Stage())
        return
    ranked = after is None or after[:2] != unranked_position(query, b"")[:2]
    if ranked:
        yield from _walk_stage(
            connection, tenant_env, query, after, _Stage(RANK, query.order_by, "<")
        )
    if not has_rank(query):
        stage = _Stage(column=query.order_by, sign="=")
        yield from _walk_stage(connection, tenant_env, query, None if ranked else after, stage)


def _walk_stage(
    connection: psycopg.Connection[Any],
    tenant_env: tuple[str, str],
    query: QueryRows,
    after: OrderKey | None,
    stage: _Stage,
) -> Iterator[Row]:
    """Return the rows of one stage, a page at a time."""
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
            *tenant_env,
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
            row, length = read_row(each)
            position = order_key(query, row)
            if after is not None and (position >= after if query.descending else position <= after):
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
        """Return the conditions of the query's filters and of the stage, with their values."""
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
        """Return the condition of the rows after a position, with its values."""
        if position is None:
            return "", []
        if self.by_rank:
            return f" AND ({RANK}, key) {sign} (%s, %s)", [
                query.order_by,
                bytes_of(position),
                position[2],
            ]
        return f" AND key {sign} %s", [position[2]]


def read_row(found: Sequence[Any]) -> tuple[Row, int]:
    """Return a row and the size of its data in bytes. Raises IntegrityMismatch.

    The data of a row that we wrote are not validated again.
    """
    with readable("a row"):
        key, data, seq = found[:3]
        if type(data) is not str or type(seq) is not int or not 0 <= seq <= MAX_INT:
            raise TypeError
        row = construct(Row, {"key": bytes(key).decode(), "data": read_text(data), "revision": seq})
        return row, len(data) if data.isascii() else len(data.encode())
