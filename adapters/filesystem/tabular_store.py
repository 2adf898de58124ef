"""Tables in a file of the worker's machine, for labs and tests: `tables.db` of the scope.

Every write is fenced by `seq`, in the statement that makes it. Safe among threads and processes
on one machine; not on network filesystems, whose locks SQLite cannot rely on.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from adapters.filesystem import row_table
from adapters.filesystem.bulk import Decide, decide_many, decide_one
from adapters.filesystem.config import read_base_dir, refuse_sellable
from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors
from adapters.filesystem.place import Place
from adapters.filesystem.row_search import query_rows
from adapters.filesystem.row_table import WriteTurn
from adapters.port import AdapterContext, Call, Capability
from adapters.tabular_store import TabularStore
from commands.error import SignalboxError
from commands.scope import ResourceKind, Scope
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


def open_adapter(context: AdapterContext) -> TabularStore:
    """The adapter of one route. Raises ForbiddenBackend in a sellable mode, InvalidRouteConfig;
    nothing is read or made before a command."""
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.TABULAR_STORE)
    return FilesystemTabularStore(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_base_dir(config, ResourceKind.TABULAR_STORE)


class FilesystemTabularStore:
    """The port on SQLite."""

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self._scope = scope
        self._database = Database(
            Place(base_dir, scope),
            row_table.NAME,
            row_table.SCHEMA,
            row_table.VERSION,
            row_table.UPGRADES,
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        return decide_one(self._database, self._scope, command, call, _upserts)

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """As the port says, in one transaction; here a row may come many times."""
        return decide_many(self._database, self._scope, items, _upserts)

    def get(self, command: GetRow, call: Call) -> Row:
        with filesystem_errors(self._scope), self._database.reading() as connection:
            return row_table.find_row(connection, command)

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        return decide_one(self._database, self._scope, command, call, _deletes)

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        with filesystem_errors(self._scope), self._database.reading() as connection:
            return query_rows(connection, command)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()


def _upserts(connection: apsw.Connection) -> Decide[UpsertRow, UpsertResult]:
    return WriteTurn(connection).upsert


def _deletes(connection: apsw.Connection) -> Decide[DeleteRow, DeleteRowResult]:
    return WriteTurn(connection).delete
