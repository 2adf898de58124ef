"""Metrics driver for the filesystem, for labs and tests: `metrics.db` of the scope, in SQLite.

Safe among threads and processes on one machine, but not on network filesystems, whose locks SQLite
cannot rely on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from signalbox.adapters.filesystem import point_table
from signalbox.adapters.filesystem.config import read_base_dir, refuse_sellable
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.failure import SERVICE
from signalbox.adapters.filesystem.name_table import names_page
from signalbox.adapters.filesystem.scope_directory import ScopeDirectory
from signalbox.adapters.metrics_driver import MetricsTraits
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints
from signalbox.commands.scope import ResourceKind, Scope


def open_driver(context: AdapterContext) -> FilesystemMetricsDriver:
    """Open the driver of a route; reads and creates nothing before a command.

    Raises ForbiddenBackend in a sellable mode, and InvalidRouteConfig.
    """
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.METRICS_STORE)
    return FilesystemMetricsDriver(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_base_dir(config, ResourceKind.METRICS_STORE)


class FilesystemMetricsDriver:
    """A TransactionalMetricsDriver on SQLite, whose statement keeps the highest `seq`."""

    service = SERVICE
    traits = MetricsTraits(transactional=True)

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self.scope = scope
        self._database = Database(
            ScopeDirectory(base_dir, scope),
            point_table.NAME,
            point_table.SCHEMA,
            point_table.VERSION,
        )

    def store_all(self, points: Iterable[tuple[Point, int]], limit: TimeLimit) -> None:
        with self._database.transaction(limit) as connection:
            # Whoever takes the commands over comes either before this or after it.
            limit.remaining()
            point_table.store(connection, points)

    @contextmanager
    def walk(
        self,
        query: QueryPoints,
        start: datetime,
        limit: TimeLimit,  # noqa: ARG002
    ) -> Iterator[Iterator[PointValue]]:
        with self._database.reading() as connection:
            yield point_table.walk(connection, query, start)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:  # noqa: ARG002
        with self._database.looking() as connection:
            return names_page(connection, "series", query)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
