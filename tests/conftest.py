"""Real servers for the tests: a Redis of their own, never one that is in use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from adapters.catalogue import Backend
from commands.error import Unavailable
from producers.embedded.redis_server import RedisServer, find_redis_server
from tests.absent import NOT_TESTED, absent

STACKS = {"two_workers", "four_workers"}
STARTERS = {"lane", "EmbeddedStack"}
# A machine that is busy takes its time, also over one example.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)  # xdist looks for the groups in this same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """How `pytest -n` spreads the tests: a module with stacks of processes stays in one piece, and
    so do a backend's, for its one server."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        backend = parameters.params.get("backend") if parameters else None
        if _has_a_stack(item):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        elif isinstance(backend, Backend):
            item.add_marker(pytest.mark.xdist_group(backend.backend_type))


def _has_a_stack(item: pytest.Item) -> bool:
    """It, or a module's neighbour of it, starts workers: by a fixture, or what the module uses."""
    fixtures = set(getattr(item, "fixturenames", ()))
    module = vars(item.module) if isinstance(item, pytest.Function) else {}
    return bool(fixtures & STACKS or module.keys() & STARTERS)


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
