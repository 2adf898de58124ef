"""Streams in a file of the worker's machine, for labs and tests: `events.db` of the scope.

Appends take turns under the writers' lock, and a reader sees whole transactions: so versions have
no gap. Safe among threads and processes on one machine; not on network filesystems.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.event_stream import EventStream
from adapters.filesystem import event_log
from adapters.filesystem.bulk import decide_many, only
from adapters.filesystem.config import read_base_dir, refuse_sellable
from adapters.filesystem.database import Database
from adapters.filesystem.event_log import AppendTurn
from adapters.filesystem.failure import filesystem_errors
from adapters.filesystem.place import Place
from adapters.port import AdapterContext, Call, Capability
from commands.error import SignalboxError
from commands.event_stream import AppendEvent, AppendResult, EventsResult, ReadEvents
from commands.scope import ResourceKind, Scope


def open_adapter(context: AdapterContext) -> EventStream:
    """The adapter of one route. Raises ForbiddenBackend in a sellable mode, InvalidRouteConfig;
    nothing is read or made before a command."""
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.EVENT_STREAM)
    return FilesystemEventStream(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_base_dir(config, ResourceKind.EVENT_STREAM)


class FilesystemEventStream:
    """The port on SQLite."""

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self._scope = scope
        self._database = Database(
            Place(base_dir, scope),
            event_log.NAME,
            event_log.SCHEMA,
            event_log.VERSION,
            event_log.UPGRADES,
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def append(self, command: AppendEvent, call: Call) -> AppendResult:
        return only(self.append_many([(command, call)]))

    def append_many(
        self, items: Sequence[tuple[AppendEvent, Call]]
    ) -> list[AppendResult | SignalboxError]:
        """As the port says; all in one transaction."""
        return decide_many(self._database, self._scope, items, AppendTurn, AppendTurn.append)

    def read(self, command: ReadEvents, call: Call) -> EventsResult:
        with filesystem_errors(self._scope), self._database.reading() as connection:
            return event_log.read_events(connection, command)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
