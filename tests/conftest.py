"""Real servers for the tests: a Redis of their own, never one that is in use."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from signalbox.commands.error import Unavailable
from signalbox.producers.embedded import redis_server as embedded_redis
from signalbox.producers.embedded import s3_stand_in, stack
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.redis_server import RedisServer, find_redis_server
from tests.absent import NOT_TESTED, absent
from tests.forked import ForkedProcess

# Every stack would like the usual port of Redis. One that a test kills must not have it: another
# test's stack would take its place meanwhile, and answer for it.
embedded_redis.free_port = (  # type: ignore[attr-defined]
    lambda preferred=0: free_port(0 if preferred == 6379 else preferred)
)

# A shell ignores Ctrl-C for what it starts in the background, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy takes its time, also over one example.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def _no_contexts_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a developer's command line uses is none of the tests' business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv("SIGNALBOX_CONTEXT", raising=False)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What this machine could not test is said at the end, in words."""
    reasons = {str(report.longrepr[2]) for report in terminalreporter.getreports("skipped")}
    for reason in sorted(reason for reason in reasons if NOT_TESTED in reason):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), yellow=True)


def need_redis() -> None:
    """See `absent`, where no Redis can be had."""
    try:
        find_redis_server()
    except Unavailable as error:
        absent("whatever needs a Redis", str(error))


@pytest.fixture(autouse=True, scope="module")
def forked_stacks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Workers, gateways and stand-ins are forked, except where a module with `REAL_START` tests how
    they start."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "REAL_START", False):
            for module in (stack, s3_stand_in):
                patch.setattr(module, "ManagedProcess", ForkedProcess)
        yield


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
