"""The Celery tasks: one a command, and one for many; all do the same."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task

from commands.parse import known_ops
from commands.wire import BATCH, read_message
from workers.runtime import runtime


def register_tasks(app: Celery) -> None:
    """Make every command a task of its own name, so that monitoring tells them apart."""

    def run(task: Task, positional: list[Any], keywords: dict[str, Any]) -> str:
        # A message's arguments as they came: a keyword such as `self` is data, and names no
        # parameter of a function.
        current = runtime(app, task.request.hostname or "eager")
        shards = current.settings.tenant_shards
        message = read_message(task.name, task.request.id, keywords, shards, positional)
        counts = current.executor.execute(message)
        return " ".join(f"{name}={count}" for name, count in sorted(counts.items())) or "nothing"

    for name in (*known_ops(), BATCH):
        app.task(run, name=name, bind=True, typing=False, Request="workers.request:QuietRequest")
