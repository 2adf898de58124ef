"""What goes on beside the commands of a worker: a thread that takes turns until it is stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

import structlog

from signalbox.commands.error import SignalboxError

log = structlog.get_logger("signalbox.worker")


class Service(ABC):
    """Runs `step` again and again on a thread of its own.

    An error ends a step, never the thread: what a service does, nobody else would do. Errors that
    pass, such as a state Redis that is away, are a line in the log; others come with a traceback.
    """

    name: ClassVar[str]
    interval: ClassVar[float]
    """Seconds before the first step, and after one that failed."""
    at_once: ClassVar[bool] = False
    """The first step does not wait."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(f"signalbox.{self.name}")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it end after the step that it is in."""
        self._stopped.set()

    @abstractmethod
    def step(self) -> float:
        """Do what is to be done now; the seconds until the next step."""

    def _run(self) -> None:
        pause = 0.0 if self.at_once else self.interval
        while not self._stopped.wait(pause):
            pause = self.interval
            try:
                pause = self.step()
            except SignalboxError as error:
                self._log.warning(f"{self.name} waits", error=str(error))
            except Exception:
                log.exception("a service failed, and goes on", service=self.name)
