"""Rows in and out of a table on SQLite, in few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from signalbox.adapters.filesystem.table_driver import FilesystemTableDriver
from signalbox.adapters.port import Call
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.tabular_store import (
    DeleteRow,
    GetRow,
    QueryRows,
    Row,
    RowCondition,
    UpsertRow,
)
from tests.unit.filesystem.object_files import call_of

HERE = {"tenant_id": "t_a", "env": "dev"}


def open_store(directory: Path) -> TabularStore:
    scope = Scope(kind=ResourceKind.TABULAR_STORE, **HERE)
    return TabularStore(FilesystemTableDriver(str(directory / "base"), scope))


def row(key: str = "k", condition: RowCondition | None = None, **data: Any) -> UpsertRow:
    condition = condition or RowCondition()
    return UpsertRow(**HERE, table_name="t", key=key, data=data, condition=condition)


def items(*commands: UpsertRow, **fields: Any) -> list[tuple[UpsertRow, Call]]:
    return [(command, call_of(command, **fields)) for command in commands]


def put(store: TabularStore, command: UpsertRow, **fields: Any) -> int:
    return store.upsert(command, call_of(command, **fields)).revision


def delete(store: TabularStore, key: str = "k", **fields: Any) -> None:
    command = DeleteRow(
        **HERE, table_name="t", key=key, if_revision=fields.pop("if_revision", None)
    )
    store.delete(command, call_of(command, **fields))


def get(store: TabularStore, key: str = "k") -> Row:
    command = GetRow(**HERE, table_name="t", key=key)
    return store.get(command, call_of(command))


def rows(store: TabularStore, **fields: Any) -> list[Row]:
    """Of all pages."""
    found: list[Row] = []
    cursor: str | None = None
    while True:
        command = QueryRows(**HERE, table_name="t", cursor=cursor, **fields)
        page = store.query(command, call_of(command))
        found += page.rows
        cursor = page.next_cursor
        if cursor is None:
            return found
