"""Real servers for the tests: a Redis of their own, never one that is in use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from producers.embedded.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session, on a free port, with the embedded stack's settings."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def state_url(redis_server: RedisServer) -> str:
    return redis_server.url
