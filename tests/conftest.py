"""Real servers for the tests: a Redis of their own, never one that is in use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commands.error import Unavailable
from producers.embedded.redis_server import RedisServer, find_redis_server
from tests.absent import ABSENT, absent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What this machine could not test is said at the end, in words."""
    for what, install in ABSENT.items():
        terminalreporter.write_line(f"NOT TESTED: {what} ({install})", yellow=True)


def need_redis() -> None:
    """See `absent`, where no Redis can be had."""
    try:
        find_redis_server()
    except Unavailable as error:
        absent("whatever needs a Redis", str(error))


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
