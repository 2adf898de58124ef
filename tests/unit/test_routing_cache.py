"""What the route cache believes, without a Redis: fences, regressions, races, its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from signalbox.commands.error import RegistryRegressed, RouteNotFound
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.routing.cache import fenced_cache as cache_module
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, fence_of, revision_of

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_x", env="dev")


def route_at(revision: int, digest: str = "a", scope: Scope = SCOPE) -> Route:
    return Route(
        scope=scope,
        backend_type="filesystem",
        config={"base_dir": f"/{revision}"},
        mode=Mode.LAB,
        revision=revision,
        hash=digest * 64,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        updated_by="ann",
        reason="because",
    )


class ScriptedRegistry:
    """Answers with what it holds, counts the reads, and lets something happen during one."""

    rosters = None

    def __init__(self) -> None:
        self.rows: dict[Scope, tuple[Route | None, str | None]] = {}
        self.reads = 0
        self.after_read: Callable[[], None] = lambda: None

    def get_many(self, scopes: Sequence[Scope]) -> list[tuple[Route | None, str | None]]:
        self.reads += 1
        answers = [self.rows.get(scope, (None, None)) for scope in scopes]
        self.after_read()
        return answers

    def hold(self, route: Route) -> Route:
        self.rows[route.scope] = (route, route.fence)
        return route


@pytest.fixture
def registry() -> ScriptedRegistry:
    return ScriptedRegistry()


@pytest.fixture
def cache(registry: ScriptedRegistry) -> RouteCache:
    return RouteCache(cast(Registry, registry))


def test_an_entry_is_used_only_at_exactly_its_fence(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    first = registry.hold(route_at(1, "a"))
    assert cache.resolve(SCOPE, first.fence) is cache.resolve(SCOPE, first.fence)
    assert registry.reads == 1
    other = registry.hold(route_at(1, "b"))
    assert cache.resolve(SCOPE, other.fence) == other
    assert registry.reads == 2


def test_a_known_absence_serves_too_and_names_the_command_that_ends_it(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    for _ in range(3):
        with pytest.raises(RouteNotFound) as caught:
            cache.resolve(SCOPE, None)
    assert registry.reads == 0
    assert caught.value.message == "No route configured for object_store in t_x/dev"
    assert caught.value.next_step is not None
    assert caught.value.next_step.startswith(
        "Configure one with: signalbox routes set object_store <backend> -t t_x -e dev -c "
    )
    assert "--reason" in caught.value.next_step


def test_a_claim_older_than_the_entry_reads_anew_and_gets_the_newer_route(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    newer = registry.hold(route_at(7))
    cache.learn(SCOPE, newer.fence, newer)
    assert cache.resolve(SCOPE, fence_of(5, "c" * 64)) == newer
    assert registry.reads == 1


def test_a_registry_older_than_the_entry_is_refused_until_it_has_caught_up(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    newer = route_at(7)
    cache.learn(SCOPE, newer.fence, newer)
    older = registry.hold(route_at(5))
    for _ in range(2):
        with pytest.raises(RegistryRegressed, match="was at 7-"):
            cache.resolve(SCOPE, older.fence)
    registry.hold(newer)
    assert cache.resolve(SCOPE, newer.fence) == newer


def test_what_was_seen_before_a_gap_in_the_log_still_shows_a_regression(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    newer = route_at(7)
    cache.learn(SCOPE, newer.fence, newer)
    cache.forget()
    with pytest.raises(RegistryRegressed):
        cache.resolve(SCOPE, registry.hold(route_at(5)).fence)
    registry.hold(newer)
    assert cache.resolve(SCOPE, newer.fence) == newer


def test_a_newer_route_that_another_thread_takes_in_meanwhile_is_no_regression(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    older, newer = registry.hold(route_at(5)), route_at(7)
    registry.after_read = lambda: cache.learn(SCOPE, newer.fence, newer)
    assert cache.resolve(SCOPE, older.fence) == older
    registry.after_read = lambda: None
    reads = registry.reads
    assert cache.resolve(SCOPE, newer.fence) == newer
    assert registry.reads == reads


def test_one_scope_that_fails_does_not_fail_its_neighbours(
    cache: RouteCache, registry: ScriptedRegistry
) -> None:
    lost, absent = (SCOPE.model_copy(update={"tenant_id": name}) for name in ("t_l", "t_n"))
    good = registry.hold(route_at(3))
    found = cache.resolve_many({SCOPE: good.fence, lost: "9-0123456789abcdef", absent: None})
    assert found[SCOPE] == good
    assert isinstance(found[lost], RegistryRegressed)
    assert isinstance(found[absent], RouteNotFound)
    assert registry.reads == 1


def test_the_cache_is_bounded(
    cache: RouteCache, registry: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 10)
    for number in range(25):
        scope = SCOPE.model_copy(update={"tenant_id": f"t_{number}"})
        cache.learn(scope, f"{number + 1}-0123456789abcdef", None)
    assert len(cache._routes._known) == 10


def test_a_route_names_its_fence() -> None:
    route = route_at(12, "e")
    assert route.fence == "12-" + "e" * 16
    assert revision_of(route.fence) == 12
