"""How far the log is archived; kept in the registry, and what was archived may be trimmed."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State
from signalbox.routing.event import StreamEvent
from signalbox.routing.log import TAG
from signalbox.routing.row import text_of

_TRIM = Script("signalbox.routing", "trim.lua")
_KEY = f"{TAG}:archive"


@dataclass(frozen=True)
class Mark:
    """The last archived event: its revision and hash, and its version in the archive."""

    revision: int = 0
    hash: str = ""
    version: int = 0
    route: str = ""
    """Fence of the archive's route when its length was counted."""
    waits_for: str = ""
    """Why the archiver does not go on; empty if it does."""


class ArchiveMark:
    """Reads and moves the mark. Methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def read(self) -> Mark:
        row = self._client.call("HMGET", _KEY, "rev", "hash", "version", "route", "waits_for")
        revision, digest, version, route, waits = (text_of(part) if part else "" for part in row)
        return Mark(int(revision or 0), digest, int(version or 0), route, waits)

    def move(self, event: StreamEvent, version: int) -> None:
        """All up to this event are archived."""
        where = ("rev", event.revision, "hash", event.hash, "version", version)
        self._client.call("HSET", _KEY, *where, "waits_for", "")

    def recount(self, version: int, route: str) -> None:
        """The archive behind this route (its fence) ends at this version."""
        self._client.call("HSET", _KEY, "version", version, "route", route)

    def wait(self, reason: str) -> None:
        """Say why it does not go on."""
        self._client.call("HSET", _KEY, "waits_for", reason)

    def trim(self, last: StreamEvent, most: int) -> int:
        """Remove events up to `last`, `most` of them at most; none that is not archived."""
        arguments = [last.revision, last.hash, most]
        [removed] = run_pipeline(self._client, [_TRIM.call([TAG], arguments)], [_TRIM])
        return int(removed)
