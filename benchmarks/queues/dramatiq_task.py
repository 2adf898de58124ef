"""Dramatiq with its Redis broker and default middleware; it acknowledges late by itself."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.queues.address import redis_url
from benchmarks.queues.effect import durable_put

broker = RedisBroker(url=redis_url())  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)
_actor = dramatiq.actor(queue_name="bench-dramatiq")(durable_put)


def send(folder: str, names: Sequence[str], data: str) -> None:
    for name in names:
        _actor.send(folder, name, data)


def send_group(folder: str, names: Sequence[str], data: str) -> None:
    """Dramatiq has no message of many calls: a group enqueues one for each."""
    dramatiq.group(  # type: ignore[no-untyped-call]
        [_actor.message(folder, name, data) for name in names]
    ).run()
