"""Changes of routes that are repeated, refused or interrupted, on a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.error import (
    BackendNotImplemented,
    Conflict,
    ForbiddenBackend,
    RoutingError,
    StateUnavailable,
    UnknownBackend,
)
from signalbox.commands.routing import DeleteRoute, RouteConfig, SetRoute, SwitchRoute
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State, connect
from signalbox.routing import route_commands as control
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from tests.hash_chain import first_broken
from tests.integration.operating import by
from tests.integration.round_trips import round_trips

KIND = ResourceKind.OBJECT_STORE
SCOPE = Scope(kind=KIND, tenant_id="t_a", env="dev")
DEAD = "redis://127.0.0.1:1/0"


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def change(act: Any, base_dir: str = "/a", scope: Scope = SCOPE, **more: Any) -> Route:
    who = {name: more.pop(name) for name in ("actor", "reason", "change_id") if name in more}
    target = RouteTarget("filesystem", {"base_dir": base_dir}, Mode.LAB)
    route: Route = act(scope, target, by(**who), **more)
    return route


def delete(
    registry: Registry, change_id: str | None = None, if_revision: int | None = None
) -> None:
    registry.delete(SCOPE, by("bob", "over", change_id), if_revision=if_revision)


def kinds(registry: Registry) -> list[str]:
    return [event.type.rpartition(".")[2] for event in registry.events(0)]


def test_a_repeat_of_a_conditional_change_is_no_conflict_with_itself(registry: Registry) -> None:
    created = change(registry.set, "/a", change_id="one", if_revision=0)
    assert change(registry.set, "/a", change_id="one", if_revision=0) == created
    moved = change(registry.switch, "/b", change_id="two", if_revision=1)
    assert change(registry.switch, "/b", change_id="two", if_revision=1) == moved
    assert kinds(registry) == ["set", "switched"]


def test_a_repeat_of_a_deletion_is_done_already_and_not_a_missing_route(
    registry: Registry,
) -> None:
    change(registry.set)
    delete(registry, change_id="gone", if_revision=1)
    delete(registry, change_id="gone", if_revision=1)
    assert kinds(registry) == ["set", "deleted"]


def test_a_late_repeat_of_a_deletion_leaves_the_route_that_was_set_since(
    registry: Registry,
) -> None:
    change(registry.set)
    delete(registry, change_id="gone")
    newer = change(registry.set, "/b")
    delete(registry, change_id="gone")
    assert registry.get(SCOPE) == newer


def test_a_repeat_is_no_refusal_after_the_route_moved_to_another_backend(
    registry: Registry,
) -> None:
    change(registry.set, "/a", change_id="one")
    config: RouteConfig = {"bucket": "bucket-b"}
    elsewhere = registry.switch(
        SCOPE,
        RouteTarget("s3", config, Mode.LAB),
        by("a", "r"),
    )
    assert change(registry.set, "/a", change_id="one") == elsewhere
    assert kinds(registry) == ["set", "switched"]


def test_a_repeat_of_a_change_whose_route_is_deleted_since_returns_what_it_made(
    registry: Registry,
) -> None:
    made = change(registry.set, "/a", change_id="one")
    delete(registry)
    assert change(registry.set, "/a", change_id="one") == made
    assert registry.get(SCOPE) is None
    assert kinds(registry) == ["set", "deleted"]


def test_a_refused_change_may_be_asked_for_again_and_pass(registry: Registry) -> None:
    with pytest.raises(RoutingError):
        change(registry.switch, "/a", change_id="one")
    change(registry.set, "/0")
    assert change(registry.switch, "/a", change_id="one").revision == 3
    assert kinds(registry) == ["refused", "set", "switched"]


@pytest.mark.parametrize(
    ("backend", "mode", "error"),
    [
        ("floppy", Mode.LAB, UnknownBackend),
        ("dynamodb", Mode.LAB, BackendNotImplemented),
        ("filesystem", Mode.SAAS, ForbiddenBackend),
    ],
)
def test_a_config_that_no_backend_vouched_for_is_recorded_by_its_names_alone(
    registry: Registry, client: State, backend: str, mode: Mode, error: type[RoutingError]
) -> None:
    config: RouteConfig = {"base_dir": "/a", "aws_secret_access_key": "hunter2"}
    with pytest.raises(error):
        registry.set(SCOPE, RouteTarget(backend, config, mode), by("a", "r", "x"))
    assert b"hunter2" not in repr(client.server().xrange("{rt}:log")).encode()
    after = registry.events(0)[-1].data.after
    assert after is not None
    assert after["backend_type"] == backend
    assert set(after["config"]) == set(config)


def test_a_conflict_records_no_value_that_its_backend_would_refuse(
    registry: Registry, client: State
) -> None:
    change(registry.set)
    config: RouteConfig = {"bucket": "bucket-b", "aws_secret_access_key": "hunter2"}
    with pytest.raises(Conflict):
        registry.switch(
            SCOPE,
            RouteTarget("s3", config, Mode.LAB),
            by("a", "r", "x"),
            if_revision=9,
        )
    assert b"hunter2" not in repr(client.server().xrange("{rt}:log")).encode()


def test_a_refusal_for_the_mode_records_the_place_that_was_asked_for(registry: Registry) -> None:
    config: RouteConfig = {"base_dir": "/a"}
    with pytest.raises(ForbiddenBackend):
        registry.set(
            SCOPE,
            RouteTarget("filesystem", config, Mode.SAAS),
            by("a", "r", "x"),
        )
    after = registry.events(0)[-1].data.after
    assert after is not None
    assert after["config"] == config


def test_an_infinite_number_in_a_refused_config_breaks_no_link_of_the_chain(
    registry: Registry,
) -> None:
    config: RouteConfig = {"weight": float("inf")}
    with pytest.raises(UnknownBackend):
        registry.set(
            SCOPE,
            RouteTarget("floppy", config, Mode.LAB),
            by("a", "r", "x"),
        )
    change(registry.set)
    assert first_broken(registry.events(0)) is None


def test_a_refusal_that_cannot_be_recorded_is_an_unreadable_state() -> None:
    registry = Registry(connect(DEAD))
    config: RouteConfig = {"base_dir": "/a"}
    with pytest.raises(StateUnavailable) as caught:
        registry.set(
            SCOPE,
            RouteTarget("filesystem", config, Mode.SAAS),
            by("a", "r", "x"),
        )
    assert caught.value.next_step


def test_a_change_costs_two_round_trips(registry: Registry) -> None:
    change(registry.set)  # loads the script
    with round_trips() as trips:
        change(registry.switch, "/b")
    assert len(trips) == 2


def test_reading_no_scopes_asks_nothing(registry: Registry) -> None:
    assert registry.get_many([]) == []


def test_route_commands_run_and_their_repeats_change_nothing(registry: Registry) -> None:
    common = {"tenant_id": "t_a", "env": "dev", "resource_kind": KIND, "actor": "a", "reason": "r"}
    place = {"backend_type": "filesystem", "config": {"base_dir": "/a"}}
    elsewhere = place | {"config": {"base_dir": "/b"}}
    commands: list[Any] = [
        SetRoute.model_validate(common | place | {"if_revision": 0}),
        SwitchRoute.model_validate(common | elsewhere | {"if_revision": 1}),
        DeleteRoute.model_validate(common | {"if_revision": 2}),
    ]
    for command in commands:
        first = control.apply(command, registry)
        assert control.apply(command, registry) == first
        json.dumps(first)
    assert kinds(registry) == ["set", "switched", "deleted"]


def test_five_thousand_routes_are_listed_in_pages_of_two_round_trips(
    registry: Registry, client: State
) -> None:
    route = change(registry.set)
    fill = """
    for n = 0, 4999 do
      local member = string.format('t_%05d/dev', n)
      local route = string.gsub(ARGV[1], 't_a', string.format('t_%05d', n))
      redis.call('HSET', '{rt}:routes', 'object_store/' .. member, route)
      redis.call('ZADD', '{rt}:index:object_store', 0, member)
    end
    """
    client.server().eval(fill, 0, route.model_dump_json())
    listed: list[str] = []
    pages, after = 0, None
    while True:
        page = registry.list_page(KIND, after=after)
        listed += [each.scope.tenant_id for each in page.routes]
        pages, after = pages + 1, page.next_after
        if after is None:
            break
    assert listed == [f"t_{n:05}" for n in range(5000)] + ["t_a"]
    assert pages == 6


def test_a_tenant_with_more_envs_than_a_page_is_listed_to_its_end_and_no_further(
    registry: Registry,
) -> None:
    for tenant in ("t_a", "t_b"):
        for number in range(5):
            env = f"e{number}"
            change(registry.set, scope=Scope(kind=KIND, tenant_id=tenant, env=env))
    first = registry.list_page(KIND, tenant_id="t_a", limit=3)
    rest = registry.list_page(KIND, tenant_id="t_a", after=first.next_after, limit=3)
    found = [route.scope for route in first.routes + rest.routes]
    assert [scope.field for scope in found] == [f"object_store/t_a/e{n}" for n in range(5)]
    assert rest.next_after is None


def test_an_event_that_comes_back_from_redis_is_what_was_hashed(registry: Registry) -> None:
    change(registry.set, "/ä", actor="Zoë", reason="näher ☂")
    [event] = registry.events(0)
    assert isinstance(event, StreamEvent)
    assert event.digest() == event.hash
    assert event.data.actor == "Zoë"
