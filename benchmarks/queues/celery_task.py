"""Celery as its documents advise for durable work: acknowledged late, one message in hand."""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

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


def send(folder: str, name: str, data: str) -> None:
    _task.apply_async((folder, name, data))
