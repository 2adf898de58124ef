"""The broker's Redis clients: one a channel, and another when its connections are gone."""

from __future__ import annotations

import time
from typing import Any

from signalbox.producers.broker.publisher import make_app
from signalbox.producers.broker.redis_transport import Channel
from tests.integration.conftest import RunningStack


def client_of(channel: Any) -> Any:
    with channel.conn_or_acquire() as client:
        client.ping()
        return client


def test_a_channel_keeps_its_client(two_workers: RunningStack) -> None:
    with make_app(two_workers.settings).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        first = client_of(channel)
        assert client_of(channel) is first


def test_another_pool_has_another_client(two_workers: RunningStack) -> None:
    with make_app(two_workers.settings).connection_for_write() as connection:
        channel = connection.default_channel
        first = client_of(channel)
        channel._disconnect_pools()
        assert client_of(channel) is not first


def test_refused_messages_hold_up_none_that_would_run(two_workers: RunningStack) -> None:
    """A worker takes further messages while refused ones wait to be dead letters together."""
    app, name = make_app(two_workers.settings), f"unread.{time.time_ns() % 10_000}"
    got: list[Any] = []
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        channel.basic_qos(0, 1, False)
        client = client_of(channel)
        client.lpush(name, b"a", b"b", b"c")
        channel.queue_declare(name)
        channel.basic_consume(name, False, got.append, "tag")
        for number in range(3):
            connection.drain_events(timeout=60)
            assert len(got) == number + 1
            channel.set_aside(got[-1].delivery_tag)
        assert client.hlen(channel.unacked_key) >= 3
        channel.acknowledge([message.delivery_tag for message in got])
        for message in got:
            assert not client.hexists(channel.unacked_key, message.delivery_tag)
            assert client.zscore(channel.unacked_index_key, message.delivery_tag) is None
        assert channel.qos.can_consume()
