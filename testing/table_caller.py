"""Short commands to one tabular store, for the cases of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from signalbox.adapters.port import Call
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.tabular_store import (
    DeleteRow,
    Filter,
    GetRow,
    QueryResult,
    QueryRows,
    Row,
    RowCondition,
    UpsertRow,
)
from signalbox.testing.store_caller import StoreCaller

Item = tuple[UpsertRow, Call]
Test = tuple[str, str, Any]
"""Column, operator and value of a filter."""


@dataclass(frozen=True)
class TableCaller(StoreCaller):
    """The tables of one tenant and env; `people` by default."""

    store: TabularStore

    def item(
        self,
        key: str,
        data: dict[str, Any] | None = None,
        *,
        table: str = "people",
        call: Call | None = None,
        if_absent: bool = False,
        if_revision: int | None = None,
    ) -> Item:
        """Return an upsert and its call."""
        call = call or self.call()
        command = UpsertRow(
            **self.scope_fields,
            op_id=call.mark,
            table_name=table,
            key=key,
            data=data or {},
            condition=RowCondition(if_absent=if_absent, if_revision=if_revision),
        )
        return command, call

    def upsert(self, key: str, data: dict[str, Any] | None = None, **fields: Any) -> int:
        """Store a row; return its revision."""
        result = self.store.upsert(*self.item(key, data, **fields))
        assert result.key == key
        return result.revision

    def late_upsert(self, key: str, call: Call, **fields: Any) -> bool:
        """Store a row late, alone and in bulk; return whether it was superseded."""
        item = self.item(key, {"n": "late"}, call=call, **fields)
        alone = self.store.upsert(*item)
        (bulk,) = self.store.upsert_many([item])
        assert bulk == alone
        return alone.superseded

    def fill(self, rows: dict[str, dict[str, Any]], table: str = "people") -> None:
        """Store many rows in few calls."""
        answers = self.store.upsert_many(
            [self.item(key, data, table=table) for key, data in rows.items()]
        )
        assert [getattr(answer, "key", answer) for answer in answers] == list(rows)

    def get(self, key: str, *, table: str = "people", call: Call | None = None) -> Row:
        """Return a row."""
        command = GetRow(**self.scope_fields, table_name=table, key=key)
        row = self.store.get(command, call or self.call())
        assert row.key == key
        return row

    def data(self, key: str, table: str = "people") -> dict[str, Any]:
        """Return a row's data."""
        return self.get(key, table=table).data

    def delete(
        self,
        key: str,
        *,
        table: str = "people",
        if_revision: int | None = None,
        call: Call | None = None,
    ) -> bool:
        """Delete a row; return whether the delete was superseded."""
        call = call or self.call()
        command = DeleteRow(
            **self.scope_fields, op_id=call.mark, table_name=table, key=key, if_revision=if_revision
        )
        result = self.store.delete(command, call)
        assert (result.table_name, result.key) == (table, key)
        return result.superseded

    def page(
        self,
        *where: Test,
        table: str = "people",
        call: Call | None = None,
        allow_scan: bool = True,
        **fields: Any,
    ) -> QueryResult:
        """Return one page of a query.

        Scans are allowed, so that queries without an index have the same meaning on every backend.
        """
        filters: Sequence[Filter] = [
            Filter.model_validate({"column": column, "op": op, "value": value})
            for column, op, value in where
        ]
        command = QueryRows(
            **self.scope_fields,
            table_name=table,
            filters=list(filters),
            allow_scan=allow_scan,
            **fields,
        )
        return self.store.query(command, call or self.call())

    def pages(self, *where: Test, **fields: Any) -> Iterator[QueryResult]:
        """Yield all pages of a query."""
        cursor: str | None = None
        while True:
            page = self.page(*where, cursor=cursor, **fields)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def rows(self, *where: Test, **fields: Any) -> list[Row]:
        """Return the rows of all pages."""
        return [row for page in self.pages(*where, **fields) for row in page.rows]

    def keys(self, *where: Test, **fields: Any) -> list[str]:
        """Return the keys of all rows."""
        return [row.key for row in self.rows(*where, **fields)]


OpenTable = Callable[..., TableCaller]
"""Opens a TableCaller: `(tenant, env, config)`, each with a default."""
