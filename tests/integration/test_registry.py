"""The registry on a real Redis: compare-and-set, the chain, refusals, and races of operators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from signalbox.commands.error import (
    BackendNotImplemented,
    Conflict,
    ForbiddenBackend,
    InvalidRouteConfig,
    RouteExists,
    RouteNotFound,
    SignalboxError,
    UnknownBackend,
)
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State, connect
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from tests.hash_chain import first_broken
from tests.integration.operating import by

KIND = ResourceKind.OBJECT_STORE
SCOPE = Scope(kind=KIND, tenant_id="t_a", env="dev")


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def change(
    act: Any, base_dir: str = "/a", scope: Scope = SCOPE, mode: Mode = Mode.LAB, **more: Any
) -> Route:
    who = {name: more.pop(name) for name in ("actor", "reason", "change_id") if name in more}
    target = RouteTarget("filesystem", {"base_dir": base_dir}, mode)
    route: Route = act(scope, target, by(**who), **more)
    return route


def kinds(registry: Registry) -> list[str]:
    return [event.type.rpartition(".")[2] for event in registry.events(0)]


def test_a_route_is_set_read_switched_and_deleted_and_each_leaves_one_event(
    registry: Registry,
) -> None:
    first = change(registry.set)
    assert registry.get(SCOPE) == first
    second = change(registry.switch, "/b")
    assert (second.revision, second.config) == (2, {"base_dir": "/b"})
    registry.delete(SCOPE, by("bob", "over"))
    assert registry.get(SCOPE) is None
    events = registry.events(0)
    assert kinds(registry) == ["set", "switched", "deleted"]
    assert first_broken(events) is None
    last = events[-1].data
    assert (last.actor, last.reason, last.after) == ("bob", "over", None)
    assert last.before is not None
    assert last.before["config"] == {"base_dir": "/b"}
    assert registry.history(SCOPE) == events


def test_a_change_that_changes_nothing_leaves_no_event(registry: Registry) -> None:
    route = change(registry.set)
    assert change(registry.set) == route
    assert change(registry.switch) == route
    assert kinds(registry) == ["set"]


def test_a_repeat_of_a_change_whose_answer_was_lost_changes_nothing(registry: Registry) -> None:
    change(registry.set, "/a", change_id="one")
    change(registry.switch, "/b", change_id="two")
    assert change(registry.set, "/a", change_id="one").config == {"base_dir": "/b"}
    assert kinds(registry) == ["set", "switched"]


def test_the_fence_of_a_deleted_route_stays_and_the_next_one_is_newer(registry: Registry) -> None:
    change(registry.set)
    registry.delete(SCOPE, by("a", "r"))
    [(route, fence)] = registry.get_many([SCOPE])
    assert route is None
    assert fence is not None
    assert fence.startswith("2-")
    assert change(registry.set).revision == 3


@pytest.mark.parametrize(
    ("backend", "config", "mode", "error"),
    [
        ("floppy", {}, Mode.LAB, UnknownBackend),
        ("dynamodb", {}, Mode.LAB, BackendNotImplemented),
        ("s3", {}, Mode.LAB, InvalidRouteConfig),
        ("s3", {"bucket": "b", "aws_secret_access_key": "x"}, Mode.LAB, InvalidRouteConfig),
        ("filesystem", {}, Mode.LAB, InvalidRouteConfig),
        ("filesystem", {"base_dir": "relative"}, Mode.LAB, InvalidRouteConfig),
        ("filesystem", {"base_dir": "/a"}, Mode.SAAS, ForbiddenBackend),
        ("filesystem", {"base_dir": "/a"}, Mode.ENTERPRISE, ForbiddenBackend),
        ("filesystem", {"base_dir": "/a"}, Mode.T_SYSTEM, ForbiddenBackend),
    ],
)
@pytest.mark.parametrize("verb", ["set", "switch"])
def test_a_refused_change_is_an_error_with_its_place_and_an_event(
    registry: Registry,
    verb: str,
    backend: str,
    config: dict[str, Any],
    mode: Mode,
    error: type[SignalboxError],
) -> None:
    if verb == "switch":
        change(registry.set, "/before")
    act = getattr(registry, verb)
    with pytest.raises(error) as caught:
        act(
            SCOPE,
            RouteTarget(backend, config, mode),
            by("eve", "try"),
        )
    assert (caught.value.tenant_id, caught.value.env, caught.value.kind) == ("t_a", "dev", KIND)
    assert caught.value.next_step
    refusal = registry.events(0)[-1]
    assert refusal.type.endswith("refused")
    assert refusal.data.error is not None
    assert refusal.data.error["code"] == error.code
    assert refusal.data.actor == "eve"
    route = registry.get(SCOPE)
    assert (route.config if route else None) == (
        {"base_dir": "/before"} if verb == "switch" else None
    )


def test_a_credential_in_a_refused_config_does_not_stand_in_the_audit_trail(
    registry: Registry, client: State
) -> None:
    config: RouteConfig = {"bucket": "b", "aws_secret_access_key": "hunter2"}
    with pytest.raises(InvalidRouteConfig):
        registry.set(
            SCOPE,
            RouteTarget("s3", config, Mode.LAB),
            by("a", "r"),
        )
    assert b"hunter2" not in repr(client.server().xrange("{rt}:log")).encode()


def point(
    act: Any,
    backend_type: str,
    config: RouteConfig,
    kind: ResourceKind = KIND,
    mode: Mode = Mode.LAB,
) -> Route:
    scope = Scope(kind=kind, tenant_id="t_a", env="dev")
    route: Route = act(scope, RouteTarget(backend_type, config, mode), by("ann", "because"))
    return route


def test_set_does_not_move_a_route_and_switch_does_not_create_one(registry: Registry) -> None:
    with pytest.raises(RouteNotFound, match="No route configured for object_store in t_a/dev"):
        change(registry.switch)
    route = change(registry.set)
    for backend_type, config in (
        ("s3", {"bucket": "bucket-b"}),
        ("filesystem", {"base_dir": "/b"}),
    ):
        with pytest.raises(RouteExists) as caught:
            point(registry.set, backend_type, dict(config))
        error = caught.value
        assert (error.tenant_id, error.env, error.kind) == ("t_a", "dev", KIND)
        assert error.backend_type == "filesystem"
        assert f"routes switch object_store {backend_type} -t t_a -e dev" in str(error.next_step)
        assert registry.get(SCOPE) == route
    assert "base_dir is '/a', and '/b' was asked for" in str(caught.value)
    assert "-c base_dir=/b" in str(caught.value.next_step)
    assert kinds(registry) == ["refused", "set", "refused", "refused"]


S3: RouteConfig = {"bucket": "bucket-a", "region": "eu-west-1", "credentials_file": "/srv/one"}
AZURE = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
DYNAMODB = {"table": "data", "region": "eu-west-1"}
POSTGRES = {"host": "db", "database": "d", "user": "one"}
OBJECTS, TABLES = ResourceKind.OBJECT_STORE, ResourceKind.TABULAR_STORE


@pytest.mark.parametrize(
    ("kind", "backend_type", "config", "moves", "stays"),
    [
        (
            *(OBJECTS, "s3", S3),
            [{"bucket": "bucket-b"}, {"region": "us-east-1"}, {"endpoint_url": "http://s3:9000"}],
            [{"credentials_file": "/srv/two"}, {"kms_key_id": "k"}, {"fenced_writes": False}],
        ),
        (
            *(OBJECTS, "azure_blob", AZURE),
            [
                {"account_url": "https://other.blob.core.windows.net"},
                {"container": "more"},
                {"prefix": "below"},
            ],
            [{"sas_file": "/srv/sas"}, {"account_url": f"{AZURE['account_url']}/", "prefix": ""}],
        ),
        (
            *(TABLES, "dynamodb", DYNAMODB),
            [
                {"table": "more"},
                {"region": "us-east-1"},
                # The table of that name in another account.
                {"role_arn": "arn:aws:iam::123456789012:role/r"},
                {"profile": "other"},
                {"credentials_file": "/srv/other"},
            ],
            [{"consistent_read": False}],
        ),
        (
            *(TABLES, "firestore", {"project": "project-a"}),
            [
                {"project": "project-b"},
                {"database": "second"},
                {"prefix": "p"},
                {"emulator_host": "localhost:8080"},
            ],
            [{"credentials_file": "/srv/key", "database": "(default)"}, {"region": "eur3"}],
        ),
        (
            *(TABLES, "postgres", POSTGRES),
            [{"host": "db2"}, {"port": 5433}, {"database": "e"}, {"db_schema": "s"}],
            [{"user": "two", "port": "5432"}, {"sslmode": "require"}],
        ),
        (*(TABLES, "filesystem", {"base_dir": "/a"}), [{"base_dir": "/b"}], [{"base_dir": "/a/"}]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_set_changes_credentials_and_tuning_and_never_where_the_data_are(
    registry: Registry,
    kind: ResourceKind,
    backend_type: str,
    config: RouteConfig,
    moves: list[RouteConfig],
    stays: list[RouteConfig],
) -> None:
    first = point(registry.set, backend_type, config, kind)
    for part in moves:
        with pytest.raises(RouteExists) as caught:
            point(registry.set, backend_type, config | part, kind)
        assert next(iter(part)) in caught.value.message
        assert point(registry.set, backend_type, config, kind) == first, "the same is nothing"
    for part in stays:
        assert point(registry.set, backend_type, config | part, kind).config == config | part
    for part in moves:
        assert point(registry.switch, backend_type, config | part, kind).config == config | part


def test_a_refused_set_names_the_switch_that_does_it(registry: Registry) -> None:
    point(registry.set, "s3", S3, mode=Mode.SAAS)
    asked: RouteConfig = {"bucket": "bucket-b", "read_replicas": ["eu-west-1:more"]}
    with pytest.raises(RouteExists) as caught:
        point(registry.set, "s3", asked, mode=Mode.SAAS)
    assert "bucket is 'bucket-a', and 'bucket-b' was asked for" in caught.value.message
    assert "region is 'eu-west-1', and None was asked for" in caught.value.message
    assert (
        "signalbox routes switch object_store s3 -t t_a -e dev -m saas -c bucket=bucket-b "
        """-c 'read_replicas=["eu-west-1:more"]' --reason"""
    ) in str(caught.value.next_step)
    moved = point(registry.switch, "s3", asked, mode=Mode.SAAS)
    assert moved.config == asked


def test_a_route_whose_config_this_release_cannot_read_is_switched_and_not_set(
    registry: Registry, client: State
) -> None:
    """Where its data are is not known then."""
    route = change(registry.set)
    former = route.model_copy(update={"config": {"folder": "/a"}})
    client.server().hset("{rt}:routes", SCOPE.field, former.model_dump_json())
    with pytest.raises(RouteExists, match="cannot be read"):
        change(registry.set)
    assert change(registry.switch).config == {"base_dir": "/a"}


def test_a_change_of_another_revision_is_a_conflict_that_names_the_current_one(
    registry: Registry,
) -> None:
    change(registry.set)
    change(registry.switch, "/b", if_revision=1)
    with pytest.raises(Conflict, match="at revision 2, not 1"):
        change(registry.switch, "/c", if_revision=1)
    with pytest.raises(Conflict):
        change(registry.set, "/b", if_revision=0)


def test_of_two_operators_who_switch_at_once_one_wins_each_round(state_url: str) -> None:
    registries = [Registry(connect(state_url)) for _ in range(2)]
    connect(state_url).server().flushall()
    change(registries[0].set, "/start")
    rounds, won, lost = 200, [0, 0], [0, 0]
    barrier = threading.Barrier(2)

    def operate(who: int) -> None:
        for number in range(rounds):
            current = registries[who].get(SCOPE)
            assert current is not None
            barrier.wait()
            try:
                change(registries[who].switch, f"/{who}/{number}", if_revision=current.revision)
                won[who] += 1
            except Conflict:
                lost[who] += 1
            barrier.wait()

    operators = [threading.Thread(target=operate, args=(who,)) for who in range(2)]
    for operator in operators:
        operator.start()
    for operator in operators:
        operator.join()
    assert sum(won) == rounds
    assert sum(lost) == rounds
    names = kinds(registries[0])
    assert names.count("switched") == rounds
    assert names.count("refused") == rounds
    assert first_broken(registries[0].events(0)) is None


def test_a_tampered_event_is_the_first_broken_link(registry: Registry) -> None:
    change(registry.set)
    for number in range(5):
        change(registry.switch, f"/{number}")
    events = registry.events(0)
    assert first_broken(events) is None
    forged = events[2].model_copy(
        update={"data": events[2].data.model_copy(update={"actor": "somebody else"})}
    )
    assert first_broken([*events[:2], forged, *events[3:]]) == forged
    resealed = forged.model_copy(update={"hash": forged.digest()})
    assert first_broken([*events[:2], resealed, *events[3:]]) == events[3]
    assert first_broken([*events[:2], *events[3:]]) == events[3]


def test_an_event_has_the_form_of_cloudevents(registry: Registry) -> None:
    change(registry.set)
    [event] = registry.events(0)
    assert isinstance(event, StreamEvent)
    assert event.specversion == "1.0"
    assert event.id == f"{event.epoch}/1"
    assert event.subject == SCOPE.field
    assert event.committed_at is not None


def test_routes_are_listed_in_pages_and_by_tenant(registry: Registry) -> None:
    tenants = [f"t_{number:02}" for number in range(25)] + ["t_1", "t_1x"]
    for tenant in tenants:
        change(registry.set, scope=Scope(kind=KIND, tenant_id=tenant, env="dev"))
    listed: list[str] = []
    after = None
    while True:
        page = registry.list_page(KIND, after=after, limit=10)
        listed += [route.scope.tenant_id for route in page.routes]
        after = page.next_after
        if after is None:
            break
    assert listed == sorted(tenants, key=lambda tenant: f"{tenant}/dev")
    only = registry.list_page(KIND, tenant_id="t_1").routes
    assert [route.scope.tenant_id for route in only] == ["t_1"]
