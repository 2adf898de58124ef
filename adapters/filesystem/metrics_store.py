"""Series in a file of the worker's machine, for labs and tests: `metrics.db` of the scope.

Every point is fenced by `seq`, in the statement that writes it. Safe among threads and processes
on one machine; not on network filesystems, whose locks SQLite cannot rely on.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.filesystem import point_table
from adapters.filesystem.bulk import decide_many, only
from adapters.filesystem.config import read_base_dir, refuse_sellable
from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors
from adapters.filesystem.place import Place
from adapters.filesystem.point_table import IngestTurn
from adapters.metrics_store import MetricsStore
from adapters.port import AdapterContext, Call, Capability
from commands.error import SignalboxError
from commands.metrics_store import IngestPoints, IngestResult, PointsResult, QueryPoints
from commands.scope import ResourceKind, Scope


def open_adapter(context: AdapterContext) -> MetricsStore:
    """The adapter of one route. Raises ForbiddenBackend in a sellable mode, InvalidRouteConfig;
    nothing is read or made before a command."""
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.METRICS_STORE)
    return FilesystemMetricsStore(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_base_dir(config, ResourceKind.METRICS_STORE)


class FilesystemMetricsStore:
    """The port on SQLite."""

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self._scope = scope
        self._database = Database(
            Place(base_dir, scope), point_table.NAME, point_table.SCHEMA, point_table.VERSION
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def ingest(self, command: IngestPoints, call: Call) -> IngestResult:
        return only(self.ingest_many([(command, call)]))

    def ingest_many(
        self, items: Sequence[tuple[IngestPoints, Call]]
    ) -> list[IngestResult | SignalboxError]:
        """As the port says; all in one transaction."""
        return decide_many(self._database, self._scope, items, IngestTurn, IngestTurn.ingest)

    def query(self, command: QueryPoints, call: Call) -> PointsResult:
        with filesystem_errors(self._scope), self._database.reading() as connection:
            return point_table.query_points(connection, command)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
