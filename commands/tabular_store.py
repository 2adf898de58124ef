"""The commands of a tabular store and their results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from signalbox.commands.documented import Documented
from signalbox.commands.listing import ListNames, NamesResult
from signalbox.commands.model import Command, register
from signalbox.commands.name import ColumnName, RowKey, TableName
from signalbox.commands.result import Result, Returns, WriteResult
from signalbox.commands.value import TypedData, TypedValue, data_size

Revision = Annotated[int, Field(ge=1)]


class RowCondition(Documented):
    """A condition of a write. A command whose condition does not hold fails, and is not retried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if_absent: bool = False
    """Write only if the row does not exist, else ALREADY_EXISTS."""
    if_revision: Revision | None = None
    """Write only if the row has this revision, else PRECONDITION_FAILED."""

    @model_validator(mode="after")
    def _one_at_most(self) -> RowCondition:
        if self.if_absent and self.if_revision is not None:
            raise ValueError("if_absent and if_revision exclude each other")
        return self


class UpsertResult(WriteResult):
    """The answer to an upsert."""

    table_name: str
    """Name of the table."""
    key: str
    """Key of the row."""
    revision: int
    """Revision of the row, which grows with each write of it."""


class DeleteRowResult(WriteResult):
    """The answer to a delete."""

    table_name: str
    """Name of the table."""
    key: str
    """Key of the row."""


class Row(Result):
    """One row as it is stored."""

    key: str
    """Key of the row."""
    data: TypedData
    """The row's columns: names with typed values."""
    revision: int
    """Revision of the row, which grows with each write of it."""


class QueryResult(Result):
    """One page of rows."""

    rows: list[Row]
    """The rows, in the order of the query."""
    next_cursor: str | None = None
    """Pass as `cursor` for the next page; None on the last."""


class ListTablesResult(NamesResult):
    """One page of tables."""

    tables: list[str]
    """Names of tables."""


class RowCommand(Command):
    """A command on one row. Writes of the same row take effect in accepted order."""

    table_name: TableName
    """Name of the table; the first write creates it."""
    key: RowKey
    """Key of the row, at most 512 bytes."""

    @property
    def item_key(self) -> str | None:
        # No name holds a control character, so two rows never share an order.
        return f"{self.kind}:{self.table_name}\x1f{self.key}"

    @property
    def subject(self) -> str:
        return f"{self.table_name}/{self.key}"


@register
class UpsertRow(RowCommand, Returns[UpsertResult]):
    """Create a row, or replace all columns of an existing one."""

    op: Literal["tabular_store.upsert"] = "tabular_store.upsert"
    data: TypedData
    """The row's columns: names with typed values, at most 1 MiB."""
    condition: RowCondition = RowCondition()
    """Condition of the write; the default writes in any case."""

    @property
    def size(self) -> int:
        return data_size(self.data)


@register
class GetRow(RowCommand, Returns[Row]):
    """Read one row."""

    writes = False
    op: Literal["tabular_store.get"] = "tabular_store.get"


@register
class DeleteRow(RowCommand, Returns[DeleteRowResult]):
    """Delete a row. Without a condition this succeeds even if the row does not exist."""

    op: Literal["tabular_store.delete"] = "tabular_store.delete"
    if_revision: Revision | None = None
    """Delete only if the row has this revision, else PRECONDITION_FAILED."""


class Filter(Documented):
    """A comparison of a column with a value. A row without the column does not match.

    Values match only within a class: null, bool, number (int64 and float), timestamp, string or
    bytes. Strings are compared by their UTF-8 bytes. Lists and objects can only be compared with
    `eq`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: ColumnName
    """Name of the column."""
    op: Literal["eq", "lt", "le", "gt", "ge"] = "eq"
    """How the column's value compares with `value`."""
    value: TypedValue
    """The value to compare with."""


@register
class QueryRows(Command, Returns[QueryResult]):
    """Read one page of the rows that match all filters, in a total order."""

    writes = False
    op: Literal["tabular_store.query"] = "tabular_store.query"
    table_name: TableName
    """Name of the table."""
    filters: list[Filter] = Field(default_factory=list, max_length=10)
    """Filters that a row must match, at most 10."""
    order_by: ColumnName | None = Field(
        None,
        description="Column to order by (strings and bytes by their first 1,024 bytes), then by "
        "key. Rows that lack it, or have a list or an object there, come last in either direction. "
        "None: by key, in UTF-8 byte order.",
    )
    descending: bool = False
    """Reverse the order."""
    limit: int = Field(100, ge=1, le=1000)
    """Maximum number of rows in a page; fewer are returned if they are large."""
    cursor: str | None = Field(
        None, max_length=8192, description="`next_cursor` of the page before, for the same query."
    )
    # Left out where it is false: workers of the release before do not know it.
    allow_scan: bool = Field(
        False,
        exclude_if=lambda allowed: not allowed,
        description="Read the whole table where no key and no index serves the filters or the "
        "order; SCAN_REFUSED otherwise.",
    )

    @property
    def subject(self) -> str:
        return f"{self.table_name}/*"


@register
class ListTables(ListNames, Returns[ListTablesResult]):
    """Read one page of the names of tables. One whose rows were all deleted may be among them."""

    op: Literal["tabular_store.list_tables"] = "tabular_store.list_tables"
