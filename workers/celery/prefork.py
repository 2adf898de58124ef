"""What the parent of a pool of processes does so that a new child is ready at once.

A child that died is replaced while commands wait: what its successor needs is loaded before the
fork, once and for all children.
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
"""At most so often the routes are looked at: a pool starts its children one after the other."""
ROUTES = 50
"""Of each kind so many are looked at: what is common is among them; a child loads the rest."""


class Preloader:
    """Loads the backends in use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: set[Backend] = set()
        self._looked: float | None = None

    def before_fork(self) -> None:
        """If the state Redis is away, the children load what they need by themselves."""
        now = time.monotonic()
        recent = self._looked is not None and now - self._looked < LOOK_SECONDS
        if self._loaded and recent:
            return
        self._looked = now
        # A child has itself ended with its parent, and loads a parser of C for it, 40 ms, unless
        # its parent has asked for the same.
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
