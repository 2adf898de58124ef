"""Ring messages that a worker has taken from the Redis broker and not yet answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from signalbox.commands.settings import Settings
from signalbox.commands.state import State
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.broker.ring import RingMessages
from tests.integration.parcel_harness import SHARD

QUEUE = "object_store.0"
WITHIN = 60


@dataclass
class Consumer:
    """A consumer of one message at a time, as a worker with one slot has it."""

    connection: Any
    ring: str
    """A ring message as the ledger puts it on the queue."""
    client: Any
    got: list[Any]

    @property
    def channel(self) -> Any:
        return self.connection.default_channel

    @property
    def stored(self) -> int:
        """Messages that the broker keeps until they are acknowledged."""
        number: int = self.client.hlen(self.channel.unacked_key)
        assert number == self.client.zcard(self.channel.unacked_index_key)
        return number

    def take(self, item: str | None = None) -> Any:
        if item is not None:
            self.client.lpush(QUEUE, item)
        self.connection.drain_events(timeout=WITHIN)
        return self.got[-1]


@pytest.fixture
def consumer(state: State, state_url: str) -> Iterator[Consumer]:
    settings = Settings(state_url=state_url, broker_url=state_url)
    app, got = make_app(settings), list[Any]()
    ring = RingMessages(app, settings).message(SHARD, QUEUE)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        channel.basic_qos(0, 1, False)
        channel.queue_declare(QUEUE)
        channel.basic_consume(QUEUE, False, got.append, "tag")
        yield Consumer(connection, ring, state.server(), got)


def with_arguments(ring: str, **keywords: Any) -> str:
    message = json.loads(ring)
    args, _, embedded = json.loads(base64.b64decode(message["body"]))
    body = json.dumps([args, keywords, embedded]).encode()
    return json.dumps(message | {"body": base64.b64encode(body).decode()})


def test_a_ring_in_hand_is_stored_nowhere(consumer: Consumer) -> None:
    """The ledger has what it announces, and the reconciler rings again."""
    message = consumer.take(consumer.ring)
    assert message.headers["task"] == "commands.drain"
    assert consumer.stored == 0
    assert not consumer.channel.qos.can_consume()
    message.ack()
    assert consumer.channel.qos.can_consume()
    assert consumer.client.llen(QUEUE) == 0


@pytest.mark.parametrize("stopping", [True, False])
def test_a_ring_that_is_not_answered_goes_back_to_its_queue(
    consumer: Consumer, *, stopping: bool
) -> None:
    first = consumer.take(consumer.ring)
    if stopping:
        consumer.channel.qos.restore_unacked()
    else:
        first.requeue()
    assert consumer.client.lrange(QUEUE, 0, -1) == [consumer.ring.encode()]
    again = consumer.take()
    assert again.payload == first.payload
    again.ack()
    consumer.channel.qos.restore_unacked()
    assert consumer.client.llen(QUEUE) == 0


@pytest.mark.parametrize(
    "keywords",
    [{}, {"shards": [SHARD], "queue": "object_store.99999"}, {"shards": ["x"], "queue": QUEUE}],
)
def test_what_is_no_valid_ring_is_stored_until_it_is_a_dead_letter(
    consumer: Consumer, keywords: dict[str, Any]
) -> None:
    message = consumer.take(with_arguments(consumer.ring, **keywords))
    assert consumer.stored == 1
    message.ack()
    assert consumer.stored == 0
