"""Stream driver for the filesystem, for labs and tests: `events.db` of the scope, in SQLite.

Appends take turns under the writers' lock, and a reader sees whole transactions, so versions have
no gap. Safe among threads and processes on one machine, but not on network filesystems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from signalbox.adapters.filesystem import event_log
from signalbox.adapters.filesystem.config import read_base_dir, refuse_sellable
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.failure import SERVICE
from signalbox.adapters.filesystem.name_table import names_page
from signalbox.adapters.filesystem.scope_directory import ScopeDirectory
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.stream_driver import StreamTraits
from signalbox.commands.event_stream import StoredEvent
from signalbox.commands.scope import ResourceKind, Scope


def open_driver(context: AdapterContext) -> FilesystemStreamDriver:
    """Open the driver of a route; reads and creates nothing before a command.

    Raises ForbiddenBackend in a sellable mode, and InvalidRouteConfig.
    """
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.EVENT_STREAM)
    return FilesystemStreamDriver(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_base_dir(config, ResourceKind.EVENT_STREAM)


class FilesystemStreamDriver:
    """A StreamDriver on SQLite. A session is one transaction."""

    service = SERVICE
    traits = StreamTraits()

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self.scope = scope
        self._database = Database(
            ScopeDirectory(base_dir, scope),
            event_log.NAME,
            event_log.SCHEMA,
            event_log.VERSION,
            event_log.UPGRADES,
        )

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[event_log.Session]:
        with self._database.transaction(limit) as connection:
            yield event_log.Session(connection)

    @contextmanager
    def read(
        self,
        stream: str,
        after: int,
        count: int,
        limit: TimeLimit,  # noqa: ARG002
    ) -> Iterator[Iterator[tuple[StoredEvent, int]]]:
        with self._database.reading() as connection:
            yield event_log.read_events(connection, stream, after, count)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:  # noqa: ARG002
        with self._database.looking() as connection:
            return names_page(connection, "streams", query)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
