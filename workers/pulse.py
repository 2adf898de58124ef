"""A worker's signs of life: its pool takes work, and the state Redis takes what it writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

import structlog

from signalbox.commands.error import SignalboxError
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.pulse import BEAT_SECONDS, Pulses

log = structlog.get_logger("signalbox.worker")


class Pulse:
    """A thread that gives a sign every few seconds, and none while a worker is stuck."""

    def __init__(self, settings: Settings, name: str, moves: Callable[[], bool]) -> None:
        self._pulses = Pulses(connect_to(settings))
        self._name = name
        self._moves = moves
        self._ready_file = settings.ready_file
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with suppress(SignalboxError):
            self._pulses.stop(self._name)

    def turn(self) -> bool:
        """One sign, if there is cause for it. Raises StateUnavailable."""
        if not self._moves():
            return False
        self._pulses.beat(self._name)
        if self._ready_file is not None:
            with suppress(OSError):
                self._ready_file.touch()
        return True

    def _run(self) -> None:
        well = True
        while not self._stopped.is_set():
            try:
                moved = self.turn()
                if well and not moved:
                    log.warning("no slot of the pool is free; the worker counts as stuck")
                well = moved
            except SignalboxError as error:
                log.warning("no sign of life could be given", error=str(error))
            except Exception:
                log.exception("no sign of life could be given")
            self._stopped.wait(BEAT_SECONDS)


class PoolProbe:
    """Whether a pool of threads runs what it is given; other pools are taken at their word."""

    def __init__(self, pool: Any) -> None:
        its = getattr(pool, "executor", None)
        self._executor = its if isinstance(its, Executor) else None
        self._asked: Future[float] | None = None

    def __call__(self) -> bool:
        if self._executor is None:
            return True
        try:
            # Asked once: another question would only stand behind the first.
            self._asked = self._asked or self._executor.submit(time.monotonic)
            self._asked.result(timeout=BEAT_SECONDS)
        except (TimeoutError, RuntimeError):  # held by others, or at its end
            return False
        self._asked = None
        return True
