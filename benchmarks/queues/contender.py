"""What every queue in the comparison must be able to do, and its workers between its turns."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import psutil

DATA = "x" * 1024
WORKERS = 2
"""Worker processes of each queue, one a core."""
ROUSE = 4
"""Commands with which each turn begins, and which are not counted: its workers were stopped."""
TIMEOUT = 60.0
"""Seconds within which what was sent must have taken effect."""


class Contender(Protocol):
    """A queue with workers, used in one of its forms."""

    size: int
    """Commands in one call of `send`."""
    crew: FairThreads

    def begin(self, round_name: str, names: Sequence[str]) -> None:
        """Put what is sent from now on, under these names, where nothing is yet, and have the
        workers run a few commands that are not counted."""

    def send(self, names: Sequence[str]) -> None:
        """Enqueue one command for each name; safe to call from several threads."""

    def effects(self) -> int:
        """Commands whose effect is durable, since `begin`."""

    def moments(self) -> dict[str, int]:
        """When each was durable, in nanoseconds of the wall clock, by its name."""


class FairThreads:
    """The worker processes of one queue. Between its turns they are stopped (SIGSTOP): idle ones
    poll, and would take processor time from the others. `stops`: whether they bear it."""

    def __init__(self, pids: Sequence[int], *, stops: bool = True) -> None:
        self._stops = stops
        self._roots = [psutil.Process(pid) for pid in pids]

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let them run for as long as the block."""
        self.resume()
        try:
            yield
        finally:
            self.pause()

    def pause(self) -> None:
        # The roots first: what watches over children must not see them stand still.
        if self._stops:
            self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def cpu(self) -> float:
        """Seconds so far of all of them, and of children that have ended."""
        spent = 0.0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):  # its parent has its time now
                times = process.cpu_times()
                spent += times.user + times.system
                spent += getattr(times, "children_user", 0.0)
                spent += getattr(times, "children_system", 0.0)
        return spent

    def _signal(self, number: int) -> None:
        for process in self._all():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def _all(self) -> list[psutil.Process]:
        found = []
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                found += [root, *root.children(recursive=True)]
        return found


def await_effects(count: Callable[[], int], commands: int) -> float:
    """Seconds of processor time that it took to look, which are not the queue's.

    Raises RuntimeError if they do not come, or too many.
    """
    began, end = time.thread_time(), time.monotonic() + TIMEOUT
    while True:
        looked = time.perf_counter()
        found = count()
        if found == commands:
            return time.thread_time() - began
        if found > commands or time.monotonic() > end:
            raise RuntimeError(f"{found} effects of {commands} commands")
        # To look is work for the same cores: at most a twentieth of the time goes to it.
        time.sleep(max(0.002, 20 * (time.perf_counter() - looked)))
