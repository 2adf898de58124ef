"""taskiq on a Redis stream, acknowledged when executed, without results. It has no form of many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import cache

from taskiq_redis import RedisStreamBroker

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

broker = RedisStreamBroker(url=redis_url(), queue_name="bench-taskiq")


# A function of its own: taskiq renames what it decorates, and RQ finds the other by its name.
@broker.task(task_name="durable_put")
def _task(folder: str, name: str, data: str) -> None:
    durable_put(folder, name, data)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """A loop of its own thread, as a service without asyncio would keep one."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(broker.startup(), loop).result(10)
    return loop


def send(folder: str, names: Sequence[str], data: str) -> None:
    for name in names:
        asyncio.run_coroutine_threadsafe(_kick(folder, name, data), _loop()).result(10)


async def _kick(folder: str, name: str, data: str) -> None:
    await _task.kiq(folder, name, data)
