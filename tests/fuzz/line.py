"""The ways onto a queue: straight into Redis' list, or published to RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import amqp
import redis
from kombu.connection import Connection

from tests.fuzz.sample import QUEUE, Sample

LARGE = 100_000
"""Bytes from which a message goes alone."""


class Line(Protocol):
    def send(self, samples: Iterable[Sample]) -> int:
        """How many the broker took."""

    def waiting(self) -> int:
        """Messages that are on the queue or not acknowledged."""


class RedisLine:
    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def send(self, samples: Iterable[Sample]) -> int:
        items = [sample.stored() for sample in samples]
        with self._client.pipeline(transaction=False) as pipe:
            for item in items:
                pipe.lpush(QUEUE, item)
            pipe.execute()
        return len(items)

    def waiting(self) -> int:
        return int(self._client.llen(QUEUE)) + int(self._client.hlen("unacked"))


class RabbitLine:
    def __init__(self, url: str) -> None:
        self._url = url
        self._connection, self._channel = self._open()

    def _connect(self, **options: bool) -> Any:
        parts = Connection(self._url)  # type: ignore[no-untyped-call]  # kombu has no types
        host, virtual_host = f"{parts.hostname}:{parts.port}", parts.virtual_host or "/"
        its = amqp.Connection(host, virtual_host=virtual_host, **options)
        its.connect()
        return its

    def _open(self) -> tuple[Any, Any]:
        its = self._connect(confirm_publish=True)
        return its, its.channel()

    def send(self, samples: Iterable[Sample]) -> int:
        taken = 0
        bulk = self._connect()
        channel = bulk.channel()
        for sample in samples:
            message = sample.published()
            if message is None:
                continue
            if sample.raw_properties is not None:
                taken += self._try(message)
            else:
                channel.basic_publish(message, "", QUEUE)
                taken += 1
        # Answered behind all that was published before it.
        channel.queue_declare(QUEUE, passive=True)
        bulk.close()
        return taken

    def waiting(self) -> int:
        # What is not acknowledged is not counted; the caller waits for its traces too.
        return int(self._channel.queue_declare(QUEUE, passive=True).message_count)

    def _try(self, message: Any) -> int:
        """RabbitMQ closes the connection over properties that it cannot read."""
        try:
            self._channel.basic_publish_confirm(message, "", QUEUE)
        except (OSError, amqp.AMQPError):
            self._connection, self._channel = self._open()
            return 0
        return 1
