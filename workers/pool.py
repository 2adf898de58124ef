"""Celery's pools: that of processes made quick to replace a child that died, that of threads with
room for messages that take the place of slow ones.

The parent of processes hands all messages of all children on: while it waits, none of them moves.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.concurrency import ALIASES
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool
from celery.concurrency.thread import TaskPool as ThreadTaskPool


class SteadyPool(AsynPool):
    def process_flush_queues(self, proc: Any) -> None:
        # Celery listens 10 ms for a last result. A child that has exited has none on the way: all
        # that it wrote is there, unless it was read before: a dead child may be looked at twice.
        reader = proc.outq._reader
        if proc.exitcode is None or (not reader.closed and reader.poll()):
            super().process_flush_queues(proc)


class SteadyTaskPool(TaskPool):
    Pool = SteadyPool


class RoomyTaskPool(ThreadTaskPool):
    """Twice the threads; the consumer takes no more messages than slots, but for slow ones."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.executor = ThreadPoolExecutor(max_workers=2 * self.limit)


def use_steady_pools() -> None:
    """Let `prefork` and `threads` mean these pools in this process."""
    ALIASES["prefork"] = f"{__name__}:{SteadyTaskPool.__name__}"
    ALIASES["threads"] = f"{__name__}:{RoomyTaskPool.__name__}"
