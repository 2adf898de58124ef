"""RQ with its default worker, which forks for each job; no result is kept."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from rq import Queue

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

NAME = "bench-rq"
queue = Queue(NAME, connection=redis.Redis.from_url(redis_url()))


def send(folder: str, names: Sequence[str], data: str) -> None:
    for name in names:
        queue.enqueue(durable_put, folder, name, data, result_ttl=0)


def send_many(folder: str, names: Sequence[str], data: str) -> None:
    """A job for each, enqueued in one round trip."""
    queue.enqueue_many(
        [Queue.prepare_data(durable_put, (folder, name, data), result_ttl=0) for name in names]
    )
