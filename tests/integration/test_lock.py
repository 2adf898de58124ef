"""The strategy lock on a real Redis: who may change a route, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand, LockLost, RouteLocked
from signalbox.commands.scope import Mode
from signalbox.commands.state import State, connect
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import object_scope, wait_until
from tests.integration.operating import SCOPE, by, kinds, point, take


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def wait_for_expiry(client: State, lock: StrategyLock) -> None:
    """By the server's clock, as the registry itself judges."""

    def is_over() -> bool:
        [(seconds, micros)] = client.run([client.time_call("{rt}")])
        return int(seconds) * 1000 + int(micros) // 1000 >= lock.until_ms

    wait_until(is_over, "the lock has run out")


OTHERS: dict[str, Callable[[Registry], Any]] = {
    "set": lambda r: r.set(
        SCOPE, RouteTarget("filesystem", {"base_dir": "/b"}, Mode.LAB), by("bob")
    ),
    "switch": lambda r: point(r, "/b", "bob"),
    "delete": lambda r: r.delete(SCOPE, by("bob")),
    "lock": lambda r: take(r, "bob"),
    "unlock": lambda r: r.locks.unlock(SCOPE, by("bob")),
}


@pytest.mark.parametrize("what", OTHERS)
def test_while_a_lock_is_held_whatever_another_tries_is_refused_with_holder_reason_and_expiry(
    registry: Registry, what: str
) -> None:
    route = point(registry)
    lock = take(registry, reason="moving to the new bucket")
    with pytest.raises(RouteLocked) as caught:
        OTHERS[what](registry)
    message = str(caught.value)
    assert "ann" in message
    assert "moving to the new bucket" in message
    assert f"{lock.until:%Y-%m-%d %H:%M:%S}" in message
    assert (caught.value.tenant_id, caught.value.env) == ("t_a", "dev")
    refusal = registry.events(0)[-1]
    assert kinds(registry) == ["set", "locked", "refused"]
    assert refusal.data.error is not None
    assert (refusal.data.actor, refusal.data.error["code"]) == ("bob", "ROUTE_LOCKED")
    assert registry.get(SCOPE) == route
    assert registry.locks.held([SCOPE]) == [lock]


def test_the_holder_changes_the_route_and_keeps_the_lock(registry: Registry) -> None:
    lock = take(registry)
    point(registry, "/a", lock_token=lock.token)
    point(registry, "/b")
    registry.delete(SCOPE, by(), lock_token=lock.token)
    assert kinds(registry) == ["locked", "set", "switched", "deleted"]
    assert registry.locks.held([SCOPE]) == [lock]


def test_a_lock_is_of_one_route_and_hinders_no_other(registry: Registry) -> None:
    take(registry)
    for scope in (object_scope("t_b"), object_scope("t_a", "prod")):
        point(registry, actor="bob", scope=scope)
    assert kinds(registry) == ["locked", "set", "set"]


def test_a_renewal_keeps_the_token_and_prolongs_the_lock(registry: Registry) -> None:
    first = take(registry, seconds=60)
    again = take(registry, seconds=600, lock_token=first.token)
    assert (again.token, again.since_ms) == (first.token, first.since_ms)
    assert again.until - first.until > timedelta(seconds=500)
    assert kinds(registry) == ["locked", "lock_renewed"]
    renewed = registry.events(0)[-1].data
    assert renewed.before is not None
    assert renewed.after is not None
    assert renewed.before["until"] < renewed.after["until"]


def test_what_was_given_back_is_free_and_a_later_lock_has_a_greater_token(
    registry: Registry,
) -> None:
    tokens = []
    for actor in ("ann", "bob", "ann"):
        lock = take(registry, actor)
        tokens.append(lock.token)
        assert registry.locks.unlock(SCOPE, by(actor), lock_token=lock.token) == lock
        assert registry.locks.held([SCOPE]) == [None]
    assert tokens == sorted(set(tokens))
    assert registry.locks.unlock(SCOPE, by()) is None
    assert kinds(registry) == ["locked", "unlocked"] * 3


def test_force_takes_it_from_the_holder_who_may_go_on_no_more(registry: Registry) -> None:
    point(registry)
    lock = take(registry)
    assert registry.locks.unlock(SCOPE, by("bob", reason="ann is away"), force=True) == lock
    forced = registry.events(0)[-1]
    assert forced.type.endswith("lock_forced")
    assert (forced.data.actor, forced.data.reason) == ("bob", "ann is away")
    assert forced.data.before is not None
    assert forced.data.before["owner"] == "ann"
    with pytest.raises(LockLost):
        point(registry, "/b", lock_token=lock.token)
    with pytest.raises(LockLost):
        take(registry, lock_token=lock.token)


def test_force_by_the_holder_itself_is_a_plain_unlock(registry: Registry) -> None:
    take(registry)
    registry.locks.unlock(SCOPE, by(), force=True)
    assert kinds(registry) == ["locked", "unlocked"]


def test_a_lock_that_ran_out_binds_no_one_and_its_token_is_lost(
    registry: Registry, client: State
) -> None:
    point(registry)
    lock = take(registry, seconds=1)
    wait_for_expiry(client, lock)
    assert registry.locks.held([SCOPE]) == [None]
    for act in (
        lambda: point(registry, "/late", lock_token=lock.token),
        lambda: registry.delete(SCOPE, by(), lock_token=lock.token),
        lambda: take(registry, lock_token=lock.token),
        lambda: registry.locks.unlock(SCOPE, by(), lock_token=lock.token),
    ):
        with pytest.raises(LockLost):
            act()
    point(registry, "/b", "bob")
    assert kinds(registry)[-1] == "switched"
    assert take(registry, "bob").token > lock.token
    assert kinds(registry)[-1] == "locked"


def test_the_token_of_a_lock_that_another_took_since_is_lost_even_to_its_owner_of_old(
    registry: Registry, client: State
) -> None:
    point(registry)
    old = take(registry, seconds=1)
    wait_for_expiry(client, old)
    between = take(registry, "bob")
    registry.locks.unlock(SCOPE, by("bob"), lock_token=between.token)
    take(registry)  # ann again, from another terminal
    with pytest.raises(LockLost):
        point(registry, "/late", lock_token=old.token)


@pytest.mark.parametrize("seconds", [0, 0.5, 7 * 86400 + 1])
def test_a_lock_for_no_time_or_for_ever_is_refused(registry: Registry, seconds: float) -> None:
    with pytest.raises(InvalidCommand):
        take(registry, seconds=seconds)
    assert kinds(registry) == []
