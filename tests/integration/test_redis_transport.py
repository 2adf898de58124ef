"""The broker's Redis clients: one a channel, and another when its connections are gone."""

from __future__ import annotations

from typing import Any

from producers.publisher import make_app
from producers.redis_transport import Channel
from tests.integration.conftest import Lane


def client_of(channel: Any) -> Any:
    with channel.conn_or_acquire() as client:
        client.ping()
        return client


def test_a_channel_keeps_its_client(two_workers: Lane) -> None:
    with make_app(two_workers.settings).connection_for_write() as connection:
        channel = connection.default_channel
        assert isinstance(channel, Channel)
        first = client_of(channel)
        assert client_of(channel) is first


def test_another_pool_has_another_client(two_workers: Lane) -> None:
    with make_app(two_workers.settings).connection_for_write() as connection:
        channel = connection.default_channel
        first = client_of(channel)
        channel._disconnect_pools()
        assert client_of(channel) is not first
