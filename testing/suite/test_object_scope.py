"""Scopes of objects: a tenant and env never sees another's, and unusable places are reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from signalbox.commands.error import Misconfigured, NotFound, SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import Harness
from signalbox.testing.object_caller import ObjectCaller, OpenObjects

KIND = ResourceKind.OBJECT_STORE


@pytest.fixture(params=["longer tenant", "shorter tenant", "other env", "longer env"])
def neighbours(
    request: pytest.FixtureRequest, open_objects: OpenObjects, tenant: str
) -> list[ObjectCaller]:
    """A scope and another whose names are as near to it as they may be."""
    mine, other = {
        "longer tenant": ((tenant, "dev"), (f"{tenant}b", "dev")),
        "shorter tenant": ((f"{tenant}b", "dev"), (tenant, "dev")),
        "other env": ((tenant, "dev"), (tenant, "prod")),
        "longer env": ((tenant, "dev"), (tenant, "dev2")),
    }[request.param]
    return [open_objects(*mine), open_objects(*other)]


def test_a_neighbour_cannot_read(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    mine.put("a", b"mine")
    with pytest.raises(NotFound):
        other.head("a")
    with pytest.raises(NotFound):
        other.stream("a")
    with pytest.raises(NotFound):
        other.register("a")


def test_a_neighbour_cannot_list(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    mine.put("a/b")
    other.put("z")
    assert other.keys() == ["z"]
    assert other.page(delimiter="/").prefixes == []
    assert mine.keys() == ["a/b"]


def test_a_neighbour_cannot_go_on_with_a_foreign_cursor(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    for key in ("a", "b", "c"):
        mine.put(key)
    cursor = mine.page(limit=1).next_cursor
    with pytest.raises(SignalboxError):
        other.page(cursor=cursor)


def test_a_neighbour_cannot_overwrite_or_delete(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    mine.put("a", b"mine")
    other.delete("a")
    other.put("a", b"other", if_absent=True)
    other.delete("a")
    assert mine.read("a") == b"mine"


def test_no_spelling_of_a_key_leads_to_a_neighbour(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    mine.put("secret", b"mine")
    path = f"tenants/{mine.tenant}/{mine.env}/raw/secret"
    for key in (path, f"..\\..\\{path}", f"%2E%2E/%2E%2E/{path}", f"raw/{path}", "b/raw/secret"):
        with pytest.raises(NotFound):
            other.head(key)
        other.put(key, b"other")
        other.delete(key)
    assert mine.read("secret") == b"mine"
    assert mine.keys() == ["secret"]


def test_uris_of_neighbours_differ(neighbours: list[ObjectCaller]) -> None:
    mine, other = neighbours
    assert mine.uri("a") != other.uri("a")


def test_two_stores_of_one_scope_see_the_same(open_objects: OpenObjects) -> None:
    one, other = open_objects(), open_objects()
    one.put("a", b"one")
    assert other.read("a") == b"one"
    other.delete("a")
    assert one.keys() == []


def test_a_closed_store_has_lost_nothing(open_objects: OpenObjects) -> None:
    objects = open_objects()
    objects.put("a", b"kept")
    objects.store.close()
    assert open_objects().read("a") == b"kept"


WAYS: dict[str, Callable[[ObjectCaller], object]] = {
    "put": lambda objects: objects.put("a"),
    "get": lambda objects: objects.stream("a"),
    "head": lambda objects: objects.head("a"),
    "delete": lambda objects: objects.delete("a", if_match="x"),
    "list": lambda objects: objects.page(),
    "register": lambda objects: objects.register("a"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_place_is_told_apart_from_a_missing_key(
    open_objects: OpenObjects, harness: Harness, way: str
) -> None:
    objects = open_objects(config=harness.unusable_config)
    with pytest.raises(Misconfigured) as refused:
        WAYS[way](objects)
    detail = refused.value.detail()
    assert (detail.kind, detail.tenant_id, detail.env, detail.backend_type) == (
        "object_store",
        objects.tenant,
        objects.env,
        harness.backend_type,
    )
    assert detail.next_step


@pytest.mark.parametrize("way", ["get", "head", "register"])
def test_a_missing_key_is_not_found_at_its_place(
    objects: ObjectCaller, harness: Harness, way: str
) -> None:
    with pytest.raises(NotFound) as missed:
        WAYS[way](objects)
    detail = missed.value.detail()
    assert (detail.code, detail.http_status) == ("NOT_FOUND", 404)
    assert (detail.tenant_id, detail.env) == (objects.tenant, objects.env)
    assert detail.backend_type == harness.backend_type
