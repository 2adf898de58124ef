"""A worker's heartbeat: written while its pool takes work and the state Redis accepts writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from signalbox.commands.error import SignalboxError
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.heartbeats import BEAT_SECONDS, Heartbeats
from signalbox.workers.maintenance.background_service import BackgroundService


class Heartbeat(BackgroundService):
    """Writes a heartbeat every few seconds, and touches the ready file, unless it is stuck."""

    name, interval, at_once = "heartbeat", BEAT_SECONDS, True

    def __init__(self, settings: Settings, name: str, moves: Callable[[], bool]) -> None:
        """`moves` tells whether the pool takes work."""
        super().__init__()
        self._well = True
        self._heartbeats = Heartbeats(connect_to(settings))
        self._name = name
        self._moves = moves
        self._ready_file = settings.ready_file

    def stop(self) -> None:
        """Stop after the current step, and remove heartbeat and ready file."""
        super().stop()
        if self._ready_file is not None:
            with suppress(OSError):
                self._ready_file.unlink(missing_ok=True)
        with suppress(SignalboxError):
            self._heartbeats.stop(self._name)

    def run_once(self) -> bool:
        """Write one heartbeat if the pool takes work; return whether it does.

        Raises StateUnavailable.
        """
        if not self._moves():
            return False
        self._heartbeats.beat(self._name)
        if self._ready_file is not None:
            with suppress(OSError):
                self._ready_file.touch()
        return True

    def step(self) -> float:
        moved = self.run_once()
        if self._well and not moved:
            self._log.warning("no slot of the pool is free; the worker counts as stuck")
        self._well = moved
        return self.interval


class PoolProbe:
    """Tests whether a pool of threads runs what it is given; other pools count as working."""

    def __init__(self, pool: Any) -> None:
        executor = getattr(pool, "executor", None)
        self._executor = executor if isinstance(executor, Executor) else None
        self._asked: Future[float] | None = None

    def __call__(self) -> bool:
        if self._executor is None:
            return True
        try:
            # Submitted once: a second probe would only queue behind the first.
            self._asked = self._asked or self._executor.submit(time.monotonic)
            self._asked.result(timeout=BEAT_SECONDS)
        except (TimeoutError, RuntimeError):  # all threads are busy, or the pool has stopped
            return False
        self._asked = None
        return True
