"""The archive mark: up to which event the route log is archived, and may therefore be trimmed."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.records import text_of

TRIM = Script("signalbox.routing.audit", "trim.lua")
_KEY = f"{TAG}:archive"


@dataclass(frozen=True)
class Mark:
    """The last archived event. All fields are zero or empty before the first."""

    revision: int = 0
    """Revision of the last archived event."""
    hash: str = ""
    """Hash of that event, as 64 hexadecimal digits."""
    version: int = 0
    """Version of that event in the archive's stream."""
    route: str = ""
    """Fence of the archive's own route when `version` was last counted."""
    waits_for: str = ""
    """Why the archiver has stopped; empty while it runs."""


class ArchiveMark:
    """Reads and writes the archive mark. All methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def read(self) -> Mark:
        """Read the mark."""
        row = self._client.call("HMGET", _KEY, "rev", "hash", "version", "route", "waits_for")
        revision, digest, version, route, waits = (text_of(part) if part else "" for part in row)
        return Mark(int(revision or 0), digest, int(version or 0), route, waits)

    def move(self, event: StreamEvent, version: int) -> None:
        """Record that every event up to this one is archived; `version` is its version there."""
        where = ("rev", event.revision, "hash", event.hash, "version", version)
        self._client.call("HSET", _KEY, *where, "waits_for", "")

    def recount(self, version: int, route: str) -> None:
        """Record that the archive ends at `version`, on the route with fence `route`."""
        self._client.call("HSET", _KEY, "version", version, "route", route)

    def wait(self, reason: str) -> None:
        """Record why the archiver has stopped."""
        self._client.call("HSET", _KEY, "waits_for", reason)

    def trim(self, last: StreamEvent, limit: int) -> int:
        """Remove at most `most` archived events, none newer than `last`; return how many."""
        arguments = [last.revision, last.hash, limit]
        [removed] = run_pipeline(self._client, [TRIM.call([TAG], arguments)], [TRIM])
        return int(removed)
