"""Celery's pool of processes, made quick to replace a child that died.

The parent hands all messages of all children on: while it waits, none of them moves.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency import ALIASES
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool


class SteadyPool(AsynPool):
    def process_flush_queues(self, proc: Any) -> None:
        # Celery listens 10 ms for a last result. A child that has exited has none on the way: all
        # that it wrote is there.
        if proc.exitcode is None or proc.outq._reader.poll():
            super().process_flush_queues(proc)


class SteadyTaskPool(TaskPool):
    Pool = SteadyPool


def use_steady_pool() -> None:
    """Let `prefork` mean this pool in this process."""
    ALIASES["prefork"] = f"{__name__}:{SteadyTaskPool.__name__}"
