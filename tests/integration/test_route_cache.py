"""The route cache: right by the fence, whatever the tail does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from signalbox.commands.error import RegistryRegressed, RegistryUnreadable, RouteNotFound
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State, connect
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.policy.policy import FREE, policy_subject
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget, revision_of
from tests.integration.operating import by

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
FENCES = "{rt}:fence"


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


class CountingRegistry(Registry):
    """Counts the reads that the cache makes."""

    reads = 0

    def get_many(self, scopes):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().get_many(scopes)


def point(registry: Registry, base_dir: str, scope: Scope = SCOPE) -> Route:
    act = registry.set if registry.get(scope) is None else registry.switch
    return act(
        scope,
        RouteTarget("filesystem", {"base_dir": base_dir}, Mode.LAB),
        by("a", "r"),
    )


def fence(client: State, scope: Scope = SCOPE) -> str | None:
    value = client.server().hget(FENCES, scope.field)
    return value.decode() if isinstance(value, bytes) else value


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_entry_serves_as_long_as_its_fence_is_the_current_one(client: State) -> None:
    registry = CountingRegistry(client)
    cache = RouteCache(registry)
    route = point(registry, "/a")
    before = registry.reads
    for _ in range(5):
        assert cache.resolve(SCOPE, fence(client)) == route
    assert registry.reads == before + 1
    newer = point(registry, "/b")
    assert cache.resolve(SCOPE, fence(client)) == newer


def test_a_missing_route_is_an_error_that_says_how_to_configure_one(client: State) -> None:
    cache = RouteCache(Registry(client))
    with pytest.raises(RouteNotFound) as caught:
        cache.resolve(SCOPE, None)
    assert "No route configured for object_store in t_a/dev" in str(caught.value)
    assert "Configure one with: signalbox routes set object_store" in str(caught.value)


def test_a_deleted_route_is_not_used_again(client: State) -> None:
    registry = Registry(client)
    cache = RouteCache(registry)
    point(registry, "/a")
    cache.resolve(SCOPE, fence(client))
    registry.delete(SCOPE, by("a", "r"))
    with pytest.raises(RouteNotFound):
        cache.resolve(SCOPE, fence(client))


def test_many_unknown_scopes_cost_one_round_trip(client: State) -> None:
    registry = CountingRegistry(client)
    scopes = [SCOPE.model_copy(update={"tenant_id": f"t_{n}"}) for n in range(20)]
    routes = [point(registry, "/a", scope) for scope in scopes]
    before = registry.reads
    found = RouteCache(registry).resolve_many({s: fence(client, s) for s in scopes})
    assert [found[scope] for scope in scopes] == routes
    assert registry.reads == before + 1


def test_a_registry_older_than_the_claim_fails_closed(client: State) -> None:
    registry = Registry(client)
    point(registry, "/a")
    with pytest.raises(RegistryRegressed):
        RouteCache(registry).resolve(SCOPE, "99-0123456789abcdef")


def test_a_reused_revision_is_told_apart_by_its_hash(client: State) -> None:
    registry = Registry(client)
    cache = RouteCache(registry)
    point(registry, "/a")
    cache.resolve(SCOPE, fence(client))
    client.server().flushall()  # another history, with the same revision
    other = point(registry, "/b")
    assert other.revision == 1
    assert cache.resolve(SCOPE, fence(client)) == other


def test_no_reader_ever_gets_a_route_older_than_the_fence_it_read(state_url: str) -> None:
    connect(state_url).server().flushall()
    registry = Registry(connect(state_url))
    point(registry, "/0")
    cache = RouteCache(Registry(connect(state_url)))
    tail = LogFollower(cache, EventLog(connect(state_url)))
    tail.start()
    flipped = threading.Event()
    stale: list[tuple[str, int]] = []
    resolved = [0] * 4

    def read(who: int) -> None:
        client = connect(state_url)
        while not flipped.is_set():
            current = fence(client)
            assert current is not None
            route = cache.resolve(SCOPE, current)
            resolved[who] += 1
            if route.revision < revision_of(current):
                stale.append((current, route.revision))

    readers = [threading.Thread(target=read, args=(who,)) for who in range(4)]
    for reader in readers:
        reader.start()
    for number in range(500):
        point(registry, f"/{number % 2}")
    flipped.set()
    for reader in readers:
        reader.join()
    tail.stop()
    assert stale == []
    assert min(resolved) > 0


def test_the_tail_fills_the_cache_before_anyone_asks(client: State, state_url: str) -> None:
    registry = CountingRegistry(client)
    cache = RouteCache(registry)
    tail = LogFollower(cache, EventLog(connect(state_url)))
    tail.start()
    wait_until(lambda: tail._at is not None)
    route = point(registry, "/a")
    wait_until(lambda: SCOPE in cache._routes._known)
    before = registry.reads
    assert cache.resolve(SCOPE, fence(client)) == route
    assert registry.reads == before
    tail.stop()


@pytest.mark.parametrize("harm", ["trimmed", "other history"])
def test_a_gap_in_the_log_empties_the_cache_and_the_tail_goes_on(
    client: State, state_url: str, harm: str
) -> None:
    registry = Registry(client)
    point(registry, "/a")
    cache = RouteCache(Registry(connect(state_url)))
    tail = LogFollower(cache, EventLog(connect(state_url)))
    tail.run_once()
    if harm == "trimmed":
        point(registry, "/b")
        point(registry, "/c")
        client.server().xtrim("{rt}:log", maxlen=1, approximate=False)
    else:
        client.server().flushall()
        point(registry, "/x")
        point(registry, "/y")
    cache.learn(SCOPE, "1-aaaaaaaaaaaaaaaa", None)
    tail.run_once()
    assert SCOPE not in cache._routes._known or tail._at is None
    tail.run_once()
    tail.run_once()
    last = point(registry, "/last")
    tail.run_once()
    assert cache._routes._known[SCOPE][1] == last


def test_a_route_or_policy_of_a_later_release_holds_up_its_own_commands_alone(
    client: State,
) -> None:
    registry = Registry(client)
    other = Scope(kind=SCOPE.kind, tenant_id="t_other", env=SCOPE.env)
    route = point(registry, "/data")
    point(registry, "/data", other)
    later = route.model_dump(mode="json") | {"later": 1}
    client.server().hset(f"{TAG}:routes", SCOPE.field, json.dumps(later))
    client.server().hset(f"{TAG}:policies", SCOPE.tenant_id, json.dumps({"later": 1}))
    client.server().hset(FENCES, policy_subject(SCOPE.tenant_id), "9-x")
    cache = RouteCache(registry, registry.policies)

    found = cache.resolve_many({scope: fence(client, scope) for scope in (SCOPE, other)})
    refused = found[SCOPE]
    assert isinstance(refused, RegistryUnreadable)
    assert refused.waits
    assert isinstance(found[other], Route)
    terms = cache.terms_many({SCOPE.tenant_id: "9-x", other.tenant_id: None})
    assert isinstance(terms[SCOPE.tenant_id], RegistryUnreadable)
    assert terms[other.tenant_id] == FREE
    with pytest.raises(RegistryUnreadable, match="later"):
        registry.get(SCOPE)
