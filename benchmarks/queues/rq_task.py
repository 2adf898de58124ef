"""RQ with its default worker, which forks for each job; no result is kept."""

from __future__ import annotations

import redis
from rq import Queue

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

NAME = "bench-rq"
queue = Queue(NAME, connection=redis.Redis.from_url(redis_url()))


def send(folder: str, name: str, data: str) -> None:
    queue.enqueue(durable_put, folder, name, data, result_ttl=0)
