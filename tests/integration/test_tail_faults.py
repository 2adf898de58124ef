"""A tail that meets a log which is not what it was: the cache is right all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from signalbox.commands.error import RegistryRegressed
from signalbox.commands.state import State, connect
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from tests.integration.conftest import object_scope
from tests.integration.operating import SCOPE, by, point

LOG, FENCES = "{rt}:log", "{rt}:fence"


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


@pytest.fixture
def cache(registry: Registry) -> RouteCache:
    return RouteCache(registry, registry.policies)


@pytest.fixture
def tail(registry: Registry, cache: RouteCache) -> LogFollower:
    """Stands at the first event."""
    point(registry, "/first")
    tail = LogFollower(cache, registry.log)
    tail.run_once()
    return tail


def read(client: State, name: str) -> str | None:
    value = client.server().hget(FENCES, name)
    return value.decode() if isinstance(value, bytes) else value


def test_a_log_that_is_trimmed_under_a_tail_that_lags_costs_reads_and_no_wrong_route(
    registry: Registry, client: State, cache: RouteCache, tail: LogFollower
) -> None:
    scopes = [object_scope(f"t_{number}") for number in range(20)]
    for turn in range(3):
        for scope in scopes:
            point(registry, f"/{turn}", scope=scope)
    client.server().xtrim(LOG, maxlen=5, approximate=False)
    for _ in range(3):
        tail.run_once()
    newest = point(registry, "/newest", scope=scopes[0])
    tail.run_once()
    found = cache.resolve_many({scope: read(client, scope.field) for scope in scopes})
    assert [found[scope] for scope in scopes] == [registry.get(scope) for scope in scopes]
    assert found[scopes[0]] == newest
    assert cache.enter(read(client, "@epoch"), cache.position) is None


@pytest.mark.parametrize("sealed", [False, True])
def test_an_event_that_was_edited_in_the_log_never_becomes_a_route(
    registry: Registry, client: State, cache: RouteCache, tail: LogFollower, sealed: bool
) -> None:
    route = point(registry, "/right")
    [(_, fields)] = cast(Any, client.server().xrange(LOG, "2-0", "2-0"))
    document = json.loads(fields[b"event"])
    document["data"]["after"]["config"] = {"base_dir": "/forged"}
    if sealed:
        document["hash"] = StreamEvent.model_validate(document).digest()
    client.server().xdel(LOG, "2-0")
    client.server().delete(LOG)
    client.server().xadd(LOG, fields | {b"event": json.dumps(document).encode()}, id="2-0")
    for _ in range(3):
        tail.run_once()
        cache.enter(read(client, "@epoch"), cache.position)
    assert cache.resolve(SCOPE, read(client, SCOPE.field)) == route


def test_a_head_that_went_back_is_refused_until_it_is_looked_at_or_rebased(
    registry: Registry, client: State, cache: RouteCache, tail: LogFollower
) -> None:
    early, dump = read(client, "@epoch"), cast(bytes, client.server().dump("{rt}:head"))
    point(registry, "/second")
    seen = Position.of(registry.head())
    assert cache.enter(read(client, "@epoch"), cache.position) is None
    assert cache.position == seen

    # Read before the change was known here: slow, and no regression.
    assert cache.enter(early, Position.parse(early or "")) is None
    assert cache.position == seen

    client.server().restore("{rt}:head", 0, dump, replace=True)
    lost = cache.enter(early, cache.position)
    assert isinstance(lost, RegistryRegressed)
    assert "revision 1" in lost.message
    assert "revision 2" in lost.message
    with pytest.raises(RegistryRegressed):
        cache.resolve(SCOPE, read(client, SCOPE.field))
    client.server().delete(LOG)
    event = rebase(registry, by(reason="as it is"))
    assert event is not None
    assert cache.enter(read(client, "@epoch"), cache.position) is None
    assert cache.resolve(SCOPE, read(client, SCOPE.field)) == registry.get(SCOPE)


def test_a_false_alarm_ends_when_the_tail_has_looked(
    registry: Registry, client: State, cache: RouteCache, tail: LogFollower
) -> None:
    early = read(client, "@epoch")
    point(registry, "/second")
    tail.run_once()
    assert cache.enter(early, cache.position) is not None
    assert cache.distrusted
    tail.run_once()
    assert not cache.distrusted
    assert cache.resolve(SCOPE, read(client, SCOPE.field)) == registry.get(SCOPE)


def test_an_earlier_epoch_is_refused_whatever_its_revision(
    registry: Registry, client: State, cache: RouteCache, tail: LogFollower
) -> None:
    early = read(client, "@epoch")
    rebase(registry, by())
    assert cache.enter(read(client, "@epoch"), cache.position) is None
    assert early is not None
    old = early.partition("/")[0] + "/99-0123456789abcdef"
    assert cache.enter(old, cache.position) is not None
