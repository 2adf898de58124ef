"""Celery's pools of processes and threads, with replacements for slow slots and dead children.

The parent of a pool of processes passes on the messages of all children: while it waits, none of
them proceeds.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from celery.concurrency import ALIASES
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.base import apply_target
from celery.concurrency.prefork import TaskPool
from celery.concurrency.thread import TaskPool as ThreadTaskPool
from celery.platforms import EX_FAILURE
from celery.worker import state

END_SECONDS = 5.0
"""Seconds after Celery's soft shutdown of 20 s at which the process exits: supervisors allow 30
s."""


class SteadyPool(AsynPool):
    """A pool of processes that replaces a dead child at once."""

    def process_flush_queues(self, proc: Any) -> None:
        # Celery waits 10 ms for a last result. A child that has exited sends none: all that it
        # wrote is readable, or was read before, since a dead child may be checked twice.
        reader = proc.outq._reader
        if proc.exitcode is None or (not reader.closed and reader.poll()):
            super().process_flush_queues(proc)

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        # If several children died at once, an event of this turn of the loop may belong to a dead
        # child whose descriptor its replacement has now. Celery would no longer listen to the
        # living one, and would end the worker when it registers all of them again after a broker
        # failure. A child whose files are closed cannot always be waited for yet, so its event is
        # kept.
        if proc.exitcode is not None:
            super()._event_process_exit(hub, proc)


class SteadyTaskPool(TaskPool):
    """The pool `prefork`, which forks more processes for slow slots."""

    Pool = SteadyPool

    def on_stop(self) -> None:
        _end_after_soft_shutdown()
        super().on_stop()

    def make_room(self, more: int) -> None:
        """Fork up to `more` additional processes, which stay.

        One could be ended only if it were certain that nothing was just handed to it.
        """
        lacking = self.limit + more - self.num_processes
        if lacking > 0:
            self.grow(lacking)
            self.maintain_pool()


class RoomyTaskPool(ThreadTaskPool):
    """The pool `threads`, which runs up to twice as many messages while slots are slow.

    Messages that a broker delivers beyond that wait here: RabbitMQ's prefetch applies to each
    queue.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.executor = ThreadPoolExecutor(max_workers=2 * self.limit)
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0
        self._more = 0

    def make_room(self, more: int) -> None:
        """Run up to `more` additional messages at a time."""
        self._more = more
        self._begin()

    def on_apply(
        self,
        target: Any,
        args: Any = None,
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        **_: Any,
    ) -> None:
        with self._lock:
            call = partial(apply_target, target, args or (), kwargs, callback, accept_callback)
            self._waiting.append(call)
        self._begin()

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """Do nothing: a thread cannot be ended. Its calls end with the lease."""

    def on_stop(self) -> None:
        _end_after_soft_shutdown()
        with self._lock:
            self._waiting.clear()  # They were not acknowledged, so the broker delivers them again.
        super().on_stop()

    def _begin(self) -> None:
        with self._lock:
            while self._waiting and self._running < self.limit + self._more:
                self.executor.submit(self._work, self._waiting.popleft())
                self._running += 1

    def _work(self, call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            with self._lock:
                self._running -= 1
            self._begin()


def _end_after_soft_shutdown() -> None:
    """Exit this process in END_SECONDS, whatever is still running.

    Celery would wait without limit for threads that wait for the state Redis, and for a broker that
    is unavailable. Messages go back to the broker, and the commands run again when their leases
    expire.
    """
    if state.should_terminate:
        ending = threading.Timer(END_SECONDS, os._exit, [EX_FAILURE])
        ending.daemon = True
        ending.start()


def use_steady_pools() -> None:
    """Make Celery's names `prefork`, `processes` and `threads` mean these pools in this process."""
    for name in ("prefork", "processes"):  # Celery has two names for one pool
        ALIASES[name] = f"{__name__}:{SteadyTaskPool.__name__}"
    ALIASES["threads"] = f"{__name__}:{RoomyTaskPool.__name__}"
