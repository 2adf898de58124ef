"""Preloading for a pool of processes: loads backends before the fork, not in each child.

A dead child is replaced while commands wait; what the parent has loaded, no child has to load.
"""

from __future__ import annotations

import time
from contextlib import suppress

from billiard.util import get_pdeathsig  # type: ignore[import-untyped]  # it has no types

from signalbox.adapters.catalogue import Backend, find_backend
from signalbox.commands.error import SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.routing.registry.registry import Registry
from signalbox.workers.gc_freeze import keep_what_is_loaded

LOOK_SECONDS = 30.0
"""Minimum seconds between two reads of the routes: a pool starts its children one by one."""
ROUTES = 50
"""Number of routes of each kind that are read. Common backends are among them; a child loads others
itself."""


class Preloader:
    """Loads the backends that routes use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: set[Backend] = set()
        self._looked: float | None = None

    def before_fork(self) -> None:
        """Load backends that are not loaded yet.

        Children load them if the state Redis is unavailable.
        """
        now = time.monotonic()
        recent = self._looked is not None and now - self._looked < LOOK_SECONDS
        if self._loaded and recent:
            return
        self._looked = now
        # A child asks to be killed with its parent, and would have to load a parser for C (40 ms)
        # for that unless its parent has made a similar call.
        with suppress(OSError):
            get_pdeathsig()
        with suppress(SignalboxError):
            new = self._used() - self._loaded
            for backend in new:
                backend.load()
            if new:
                self._loaded |= new
                keep_what_is_loaded()

    def _used(self) -> set[Backend]:
        with connect_to(self._settings) as state:
            registry = Registry(state)
            return {
                find_backend(kind, route.backend_type)
                for kind in ResourceKind
                for route in registry.list_page(kind, limit=ROUTES).routes
            }
