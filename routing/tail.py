"""Follows the route log, so that a worker knows a change before a command asks for it."""

from __future__ import annotations

import threading

import structlog

from commands.error import StateUnavailable
from routing.cache import RouteCache
from routing.registry import Registry
from routing.route import fence_of, route_of
from routing.row import Head

log = structlog.get_logger("signalbox.routes")
BLOCK_MS = 1000


class RouteTail:
    """A thread with its own cursor in the log. Anything odd there empties the cache."""

    def __init__(self, cache: RouteCache, registry: Registry) -> None:
        self._cache = cache
        self._registry = registry
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="route-tail", daemon=True)
        self._at: Head | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it is gone within a second or so."""
        self._stopped.set()
        self._thread.join(timeout=BLOCK_MS / 1000 * 3)

    def turn(self) -> None:
        """Wait for events and take them in. Raises StateUnavailable."""
        if self._at is None:
            self._at = self._registry.head()
            self._cache.forget()
        events = self._registry.events(self._at.revision, block_ms=BLOCK_MS)
        for event in events:
            follows = event.revision == self._at.revision + 1
            if not follows or event.prev != self._at.hash:
                log.warning("gap in the route log", at=self._at.revision, next=event.revision)
                self._at = None
                return
            self._at = Head(event.epoch, event.revision, event.hash)
            change = route_of(event)
            if change is not None:
                scope, route = change
                self._cache.learn(scope, fence_of(event.revision, event.hash), route)
        if not events and self._registry.head() != self._at and self._at.revision:
            # Behind the head with nothing to read: trimmed, or another history.
            newer = self._registry.events(self._at.revision, limit=1)
            self._at = self._at if newer else None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.turn()
            except StateUnavailable:
                # What happened meanwhile is unknown; the fence holds without the tail.
                self._at = None
                self._stopped.wait(0.5)
            except ValueError:
                # An event of a newer version, in a rolling upgrade. To skip it alone would hide
                # a change; to end here would leave every later one to be read by the claims.
                self._at = None
                log.warning("unreadable event in the route log", exc_info=True)
                self._stopped.wait(0.5)
