"""The commands of a tabular store and what they answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from signalbox.commands.model import Command, register
from signalbox.commands.name import ColumnName, RowKey, TableName
from signalbox.commands.result import Result, Returns, WriteResult
from signalbox.commands.value import TypedData, TypedValue, data_size

Revision = Annotated[int, Field(ge=1)]


class RowCondition(BaseModel):
    """When a row may be written; a condition that does not hold is final, not retried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if_absent: bool = Field(False, description="Create only: ALREADY_EXISTS if the row exists.")
    if_revision: Revision | None = Field(
        None, description="Replace only this revision: PRECONDITION_FAILED if another or none."
    )

    @model_validator(mode="after")
    def _one_at_most(self) -> RowCondition:
        if self.if_absent and self.if_revision is not None:
            raise ValueError("if_absent and if_revision exclude each other")
        return self


class UpsertResult(WriteResult):
    table_name: str
    key: str
    revision: int = Field(description="Grows with each write of the row.")


class DeleteRowResult(WriteResult):
    table_name: str
    key: str


class Row(Result):
    """One row as it is stored."""

    key: str
    data: TypedData
    revision: int


class QueryResult(Result):
    rows: list[Row]
    next_cursor: str | None = None


class RowCommand(Command):
    """A command on one row; writes on one row take effect in accepted order."""

    table_name: TableName
    key: RowKey

    @property
    def item_key(self) -> str | None:
        # No name holds a control character, so two rows never share an order.
        return f"{self.kind}:{self.table_name}\x1f{self.key}"

    @property
    def subject(self) -> str:
        return f"{self.table_name}/{self.key}"


@register
class UpsertRow(RowCommand, Returns[UpsertResult]):
    """Create the row or replace all its columns."""

    op: Literal["tabular_store.upsert"] = "tabular_store.upsert"
    data: TypedData
    condition: RowCondition = RowCondition()

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
    """Remove a row; without a condition it succeeds as well when there is none."""

    op: Literal["tabular_store.delete"] = "tabular_store.delete"
    if_revision: Revision | None = Field(None, description="Delete only this revision.")


class Filter(BaseModel):
    """A row passes if it has the column, with a value of the same class that compares so.

    Classes are null, bool, number (int64 and float together), timestamp, string, bytes; strings
    and bytes compare by their (UTF-8) bytes. Lists and objects are only ever equal or not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: ColumnName
    op: Literal["eq", "lt", "le", "gt", "ge"] = "eq"
    value: TypedValue


@register
class QueryRows(Command, Returns[QueryResult]):
    """One page of the rows that pass all filters, in a total order."""

    writes = False
    op: Literal["tabular_store.query"] = "tabular_store.query"
    table_name: TableName
    filters: list[Filter] = Field(default_factory=list, max_length=10)
    order_by: ColumnName | None = Field(
        None,
        description="Column to order by (strings and bytes by their first 1,024 bytes), then by "
        "key. Rows that lack it, or have a list or an object there, come last in either direction. "
        "None: by key, in UTF-8 byte order.",
    )
    descending: bool = False
    limit: int = Field(100, ge=1, le=1000, description="Rows in a page; large rows make it fewer.")
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
