"""Real servers for the tests: a Redis of their own, never one that is in use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from commands.error import Unavailable
from producers.embedded.redis_server import RedisServer, find_redis_server


def need_redis() -> None:
    """Skip where no Redis can be had, and say what to install; in CI that is a failure."""
    try:
        find_redis_server()
    except Unavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not run: {error}")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session, on a free port, with the embedded stack's settings."""
    need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def state_url(redis_server: RedisServer) -> str:
    return redis_server.url
