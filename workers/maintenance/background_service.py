"""Background services of a worker: threads that repeat a step until they are stopped."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import ClassVar

import structlog

from signalbox.commands.error import SignalboxError

REPEAT_SECONDS = 60.0
"""Seconds after which an error that continues is logged again."""

log = structlog.get_logger("signalbox.worker")


class BackgroundService(ABC):
    """Calls `step` repeatedly on its own thread.

    An exception ends the step and never the thread, since nothing else would do its work. A
    SignalboxError, such as an unavailable state Redis, is logged in one line, and again only after
    REPEAT_SECONDS; others are logged with a traceback.
    """

    name: ClassVar[str]
    """Name of the service in thread names and logs."""
    interval: ClassVar[float]
    """Seconds before the first step, and after one that failed."""
    at_once: ClassVar[bool] = False
    """Whether the first step runs without waiting."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(f"signalbox.{self.name}")
        self._reported, self._reported_at = "", 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step."""
        self._stopped.set()

    @abstractmethod
    def step(self) -> float:
        """Do what is due; return the seconds until the next step."""

    def _run(self) -> None:
        pause = 0.0 if self.at_once else self.interval
        while not self._stopped.wait(pause):
            pause = self.interval
            try:
                pause = self.step()
                self._reported = ""
            except SignalboxError as error:
                self._report(str(error))
            except Exception:
                log.exception("a service failed; it will try again", service=self.name)

    def _report(self, error: str) -> None:
        now = time.monotonic()
        if error != self._reported or now - self._reported_at >= REPEAT_SECONDS:
            self._log.warning(f"{self.name} waits", error=error)
            self._reported, self._reported_at = error, now
