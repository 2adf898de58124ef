"""A registry that went back in time, and a log that a worker cannot read, on a real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from signalbox.commands.error import RegistryRegressed
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State, connect
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from tests.integration.operating import by

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
KEYS = ["{rt}:head", "{rt}:routes", "{rt}:fence"]


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


def point(registry: Registry, base_dir: str) -> Route:
    act = registry.set if registry.get(SCOPE) is None else registry.switch
    return act(
        SCOPE,
        RouteTarget("filesystem", {"base_dir": base_dir}, Mode.LAB),
        by("a", "r"),
    )


def restore(client: State, dump: dict[str, bytes | None]) -> None:
    """Bring the registry back to what it was, as a backup or a lagging replica would."""
    client.server().delete(*KEYS)
    for key, value in dump.items():
        if value is not None:
            client.server().restore(key, 0, value)


def dumped(client: State) -> dict[str, bytes | None]:
    return {key: client.server().dump(key) for key in KEYS}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_route_older_than_what_this_process_has_seen_is_not_used(
    client: State, forgotten: bool
) -> None:
    registry = Registry(client)
    cache = RouteCache(registry)
    old = point(registry, "/old")
    backup = dumped(client)
    new = point(registry, "/new")
    assert cache.resolve(SCOPE, new.fence) == new
    if forgotten:
        cache.forget()
    restore(client, backup)
    for _ in range(2):  # it does not get used to it
        with pytest.raises(RegistryRegressed) as caught:
            cache.resolve(SCOPE, old.fence)
    assert (caught.value.tenant_id, caught.value.temporary) == ("t_a", True)


def test_a_fence_that_vanished_is_a_regression_too(client: State) -> None:
    registry = Registry(client)
    cache = RouteCache(registry)
    route = point(registry, "/a")
    cache.resolve(SCOPE, route.fence)
    client.server().delete(*KEYS)
    with pytest.raises(RegistryRegressed):
        cache.resolve(SCOPE, None)


def test_a_registry_that_has_caught_up_is_used_again(client: State) -> None:
    registry = Registry(client)
    cache = RouteCache(registry)
    old = point(registry, "/old")
    backup = dumped(client)
    cache.resolve(SCOPE, point(registry, "/new").fence)
    restore(client, backup)
    with pytest.raises(RegistryRegressed):
        cache.resolve(SCOPE, old.fence)
    client.server().delete("{rt}:log")
    again = point(registry, "/again")
    assert cache.resolve(SCOPE, again.fence) == again


def test_an_event_that_this_version_cannot_read_does_not_end_the_tail(
    client: State, state_url: str
) -> None:
    registry = Registry(client)
    point(registry, "/a")
    cache = RouteCache(registry)
    tail = LogFollower(cache, EventLog(connect(state_url)))
    tail.start()
    wait_until(lambda: tail._at is not None)
    # As a newer version might write one: a kind that this one does not know.
    head = registry.head()
    event = json.loads(registry.events(0)[0].model_dump_json(exclude={"committed_at"}))
    event |= {"subject": "queue_store/t_a/dev", "revision": 2, "prev": head.hash}
    event["hash"] = StreamEvent.model_validate(event).digest()
    with capture_logs() as logs:
        client.server().hset("{rt}:head", mapping={"rev": 2, "hash": event["hash"]})
        client.server().xadd("{rt}:log", {"event": json.dumps(event), "at": "1000000"}, id="2-0")
        wait_until(lambda: any("unreadable" in each["event"] for each in logs))
    wait_until(lambda: tail._at is not None)
    route = point(registry, "/b")
    wait_until(lambda: cache._routes._known.get(SCOPE, (None, None))[1] == route)
    assert tail._thread.is_alive()
    tail.stop()
