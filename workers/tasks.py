"""Celery tasks: one per command, `commands.batch` for many, `commands.drain` for parcels."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task

from signalbox.commands.wire import (
    BATCH,
    DRAIN,
    Message,
    Ring,
    known_tasks,
    read_message,
    read_ring,
)
from signalbox.workers.runtime import Runtime, runtime


def register_tasks(app: Celery) -> None:
    """Register a Celery task for each command under its own name, as monitoring shows it."""

    def run(task: Task, positional: list[Any], keywords: dict[str, Any]) -> str:
        # Positional, since a keyword from the message such as `self` is data and must not be taken
        # for a parameter.
        current = runtime(app, task.request.hostname or "eager")
        counts = _run(current, task.name, task.request.id, positional, keywords)
        return " ".join(f"{name}={count}" for name, count in sorted(counts.items())) or "nothing"

    for name in known_tasks():
        app.task(
            run,
            name=name,
            bind=True,
            typing=False,
            Request="signalbox.workers.celery.task_request:QuietRequest",
            # The end of a single command is reported by workers/celery/task_events.py.
            send_events=name in (BATCH, DRAIN),
        )


def _run(
    current: Runtime, name: str, task_id: str, positional: list[Any], keywords: dict[str, Any]
) -> dict[str, int]:
    shards = current.settings.tenant_shards
    if name != DRAIN:
        message = read_message(name, task_id, keywords, shards, positional)
        return current.executor.execute(message)
    ring = read_ring(task_id, keywords, shards, positional)
    if isinstance(ring, Ring):
        return current.drains.run(ring)
    return current.executor.execute(Message(faults=[ring]))
