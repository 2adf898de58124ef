"""Dramatiq with its Redis broker and default middleware; it acknowledges late by itself."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

broker = RedisBroker(url=redis_url())  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)
_actor = dramatiq.actor(queue_name="bench-dramatiq")(durable_put)


def send(folder: str, name: str, data: str) -> None:
    _actor.send(folder, name, data)
