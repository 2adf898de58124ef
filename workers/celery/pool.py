"""Celery's pools: that of processes made quick to replace a child that died, and both with room for
messages that take the place of slow ones.

The parent of processes hands all messages of all children on: while it waits, none of them moves.
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
"""So long after its soft shutdown of 20 s a worker is ended: supervisors give it 30 s."""


class SteadyPool(AsynPool):
    def process_flush_queues(self, proc: Any) -> None:
        # Celery listens 10 ms for a last result. A child that has exited has none on the way: all
        # that it wrote is there, unless it was read before: a dead child may be looked at twice.
        reader = proc.outq._reader
        if proc.exitcode is None or (not reader.closed and reader.poll()):
            super().process_flush_queues(proc)

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        # Where several children died at once, an event of this turn of the loop may be that of a
        # dead one, whose descriptor its replacement has now. Celery would not listen to the living
        # one any more, and end the worker when it listens to all anew after its broker was away.
        # Nor is a child whose files are closed one that can be waited for yet: its event stays.
        if proc.exitcode is not None:
            super()._event_process_exit(hub, proc)


class SteadyTaskPool(TaskPool):
    Pool = SteadyPool

    def on_stop(self) -> None:
        _end_after_soft_shutdown()
        super().on_stop()

    def make_room(self, more: int) -> None:
        """Have so many processes beyond the usual ones. They stay: to end one, it would have to be
        certain that nothing was handed to it just now."""
        lacking = self.limit + more - self.num_processes
        if lacking > 0:
            self.grow(lacking)
            self.maintain_pool()


class RoomyTaskPool(ThreadTaskPool):
    """Threads, of which as many again take the place of those that are held long.

    What a broker hands over beyond that waits here: RabbitMQ's prefetch counts for each queue.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.executor = ThreadPoolExecutor(max_workers=2 * self.limit)
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0
        self._more = 0

    def make_room(self, more: int) -> None:
        """Run so many messages beyond the usual ones."""
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
        """Nothing: no thread can be ended. Each ends with its call, which ends with its lease."""

    def on_stop(self) -> None:
        _end_after_soft_shutdown()
        with self._lock:
            self._waiting.clear()  # not acknowledged: they go back to the broker
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
    """End this worker soon, whatever still runs.

    Celery waits without end for threads that wait for the state Redis, and for a broker that is
    away. Messages go back to the broker, and the leases bring the commands back.
    """
    if state.should_terminate:
        ending = threading.Timer(END_SECONDS, os._exit, [EX_FAILURE])
        ending.daemon = True
        ending.start()


def use_steady_pools() -> None:
    """Let `prefork` and `threads` mean these pools in this process."""
    ALIASES["prefork"] = f"{__name__}:{SteadyTaskPool.__name__}"
    ALIASES["threads"] = f"{__name__}:{RoomyTaskPool.__name__}"
