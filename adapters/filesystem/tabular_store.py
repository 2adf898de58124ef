"""Tables in a file of the worker's machine, for labs and tests: `tables.db` of the scope.

Every write is fenced by `seq`, under the writers' lock. Safe among threads and processes
on one machine; not on network filesystems, whose locks SQLite cannot rely on.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.filesystem import row_table
from adapters.filesystem.bulk import decide_many, only, read_many
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
        return only(self.upsert_many([(command, call)]))

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """As the port says, in one transaction; here a row may come many times."""
        return decide_many(self._database, self._scope, items, WriteTurn, WriteTurn.upsert)

    def get(self, command: GetRow, call: Call) -> Row:
        return only(self.get_many([(command, call)]))

    def get_many(self, items: Sequence[tuple[GetRow, Call]]) -> list[Row | SignalboxError]:
        """Many gets by one statement for each table."""
        commands = [command for command, _ in items]
        return read_many(self._database, self._scope, commands, row_table.find_rows)

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        return only(self.delete_many([(command, call)]))

    def delete_many(
        self, items: Sequence[tuple[DeleteRow, Call]]
    ) -> list[DeleteRowResult | SignalboxError]:
        """Many deletes in one transaction; a row may come many times."""
        return decide_many(self._database, self._scope, items, WriteTurn, WriteTurn.delete)

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        with filesystem_errors(self._scope), self._database.reading() as connection:
            return query_rows(connection, command)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
