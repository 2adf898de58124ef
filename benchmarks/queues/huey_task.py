"""Huey on Redis without results. It has no late acknowledgement: a killed worker loses its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huey import RedisHuey  # type: ignore[import-untyped]

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

huey: Any = RedisHuey("bench", url=redis_url(), results=False)
_task: Any = huey.task()(durable_put)


def send(folder: str, names: Sequence[str], data: str) -> None:
    for name in names:
        _task(folder, name, data)


def send_map(folder: str, names: Sequence[str], data: str) -> None:
    """Huey has no message of many calls: `map` enqueues one for each."""
    _task.map([(folder, name, data) for name in names])
