"""Table driver for the filesystem, for labs and tests: `tables.db` of the scope, in SQLite.

Safe among threads and processes on one machine, but not on network filesystems, whose locks SQLite
cannot rely on.
"""

# SQLite waits for locks, not for a server: reads have no need of their limit.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from signalbox.adapters.data_text import data_text
from signalbox.adapters.filesystem import row_table
from signalbox.adapters.filesystem.config import read_base_dir, refuse_sellable
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.failure import SERVICE
from signalbox.adapters.filesystem.name_table import names_page
from signalbox.adapters.filesystem.row_search import query_rows
from signalbox.adapters.filesystem.scope_directory import ScopeDirectory
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_query import OrderKey
from signalbox.adapters.table_driver import RowId, RowWrite, TableTraits, Way
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.tabular_store import QueryRows, Row


def open_driver(context: AdapterContext) -> FilesystemTableDriver:
    """Open the driver of a route; reads and creates nothing before a command.

    Raises ForbiddenBackend in a sellable mode, and InvalidRouteConfig.
    """
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.TABULAR_STORE)
    return FilesystemTableDriver(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_base_dir(config, ResourceKind.TABULAR_STORE)


class FilesystemTableDriver:
    """A TableDriver on SQLite. A session is one transaction, under the writers' lock."""

    service = SERVICE
    traits = TableTraits()

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self.scope = scope
        self._database = Database(
            ScopeDirectory(base_dir, scope),
            row_table.NAME,
            row_table.SCHEMA,
            row_table.VERSION,
            row_table.UPGRADES,
        )

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[row_table.Session]:
        with self._database.transaction(limit) as connection:
            yield row_table.Session(connection)

    def record(self, write: RowWrite) -> row_table.Record:
        data = None if write.data is None else data_text(write.data)
        return (*write.row, write.seq, data, write.mark)

    def size(self, record: row_table.Record) -> int:
        return len(record[3] or "")

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Any]:
        """Read the rows, with one statement for each table."""
        with self._database.looking() as connection:
            return row_table.find_rows(connection, rows)

    def row(self, stored: Any) -> Row:
        return row_table.row_of(*stored)

    def ways(self, query: QueryRows, limit: TimeLimit) -> tuple[Way]:
        """Return the only way: a query reads the whole table."""
        return (Way(),)

    @contextmanager
    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> Iterator[Iterator[Row]]:
        with self._database.reading() as connection:
            yield query_rows(connection, query, position)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        with self._database.looking() as connection:
            return names_page(connection, "tables", query)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
