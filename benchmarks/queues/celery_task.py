"""Celery as its documents advise for durable work: acknowledged late, one message in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, group

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put, durable_puts

app = Celery("bench", broker=redis_url())
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_default_queue="bench-celery",
    broker_transport_options={"visibility_timeout": 3600, "priority_steps": [0]},
    worker_hijack_root_logger=False,
)
_task: Any = app.task(durable_put, name="durable_put")
_together: Any = app.task(durable_puts, name="durable_puts")


def send(folder: str, names: Sequence[str], data: str) -> None:
    for name in names:
        _task.apply_async((folder, name, data))


def send_group(folder: str, names: Sequence[str], data: str) -> None:
    """A message and a task for each, sent together."""
    group(_task.s(folder, name, data) for name in names).apply_async()


def send_chunk(folder: str, names: Sequence[str], data: str) -> None:
    """One message and one task, which does the puts one after the other, with a sync for each."""
    _task.chunks([(folder, name, data) for name in names], len(names)).apply_async()


def send_together(folder: str, names: Sequence[str], data: str) -> None:
    """One message, one task, one sync: if one put fails, all do, and nobody is told which."""
    _together.apply_async((folder, [(name, data) for name in names]))
