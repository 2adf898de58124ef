"""Isolation of tenants: no hostile name reaches another scope, on any backend of any kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from pydantic import ValidationError

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import InvalidScope, SignalboxError
from signalbox.commands.scope import Scope
from signalbox.testing.hostile import SPELLINGS
from signalbox.testing.name_probe import NAME_PROBES, SECRET, NameProbe
from signalbox.testing.store_caller import OpenAt

ScopeName = tuple[str, str]
OpenProbe = Callable[[str, str], NameProbe]


@pytest.fixture
def open_probe(open_at: OpenAt, backend: Backend) -> OpenProbe:
    caller, probe = NAME_PROBES[backend.kind]

    def open_one(tenant: str, env: str) -> NameProbe:
        opened: NameProbe = probe(open_at(caller, tenant, env))
        return opened

    return open_one


def dealt(slots: Sequence[str], names: Sequence[str], backend: Backend) -> dict[str, list[str]]:
    """The names that each slot is tried with: all of them in long runs and on the filesystem.

    On servers a name costs ten calls in each slot, so there each name is tried in one slot, and
    each slot with some names of each group.
    """
    if os.environ.get("TESTS_LONG") or backend.backend_type == "filesystem":
        return {slot: list(names) for slot in slots}
    return {slot: list(names[number :: len(slots)]) for number, slot in enumerate(slots)}


@pytest.mark.parametrize("group", SPELLINGS)
def test_hostile_names_are_refused_or_stay_their_own(
    open_probe: OpenProbe, tenant: str, group: str, backend: Backend
) -> None:
    mine, victim = open_probe(tenant, "dev"), open_probe(f"{tenant}b", "dev")
    mine.keep_own()
    victim.keep_own()
    seen = victim.listed()
    names = [name.replace("VICTIM", victim.caller.tenant) for name in SPELLINGS[group].values()]
    kept = {
        slot: [name for name in tried if is_kept(mine, slot, name)]
        for slot, tried in dealt(mine.SLOTS, names, backend).items()
    }
    # All of them stand side by side by now.
    for slot, there in kept.items():
        assert victim.find_all(slot, there) == {name: [] for name in there}, slot
        for name in there:
            victim.drop(slot, name)
        assert mine.find_all(slot, there) == {name: [mine.owner] for name in there}, slot
    assert (mine.own(), victim.own()) == (mine.all_own(), victim.all_own())
    listed = victim.listed()
    assert (set(listed), len(listed)) == ({victim.owner}, len(seen))
    for slot, there in kept.items():
        for name in there:
            mine.drop(slot, name)
    assert (mine.own(), victim.own()) == (mine.all_own(), victim.all_own())


def is_kept(mine: NameProbe, slot: str, name: str) -> bool:
    """Whether it was written; what is refused finds nothing either."""
    try:
        mine.keep(slot, name)
    except (SignalboxError, ValidationError) as refused:
        # Object keys that a backend cannot hold are its own to refuse.
        if isinstance(refused, SignalboxError) and not refused.next_step:
            raise
        with suppress(SignalboxError, ValidationError):
            assert mine.find(slot, name) == [], (slot, name)
        return False
    return True


@pytest.mark.parametrize(
    "spelling", [name for group in SPELLINGS.values() for name in group.values()], ids=ascii
)
def test_a_hostile_name_is_no_tenant_and_no_env(spelling: str) -> None:
    name = spelling.replace("VICTIM", "t_b")
    for tenant in (name, f"t_{name}", f"t_a/{name}"):
        refuse_or_keep({"tenant_id": tenant, "env": "dev"})
    for env in (name, f"dev{name}", f"dev/{name}"):
        refuse_or_keep({"tenant_id": "t_a", "env": env})


def refuse_or_keep(names: dict[str, Any]) -> None:
    """Only the few plain characters of scopes pass, and those as they are."""
    try:
        scope = Scope(kind=next(iter(NAME_PROBES)), **names)
    except (InvalidScope, ValidationError):
        return
    assert {"tenant_id": scope.tenant_id, "env": scope.env} == names
    assert set("".join(names.values())) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert Scope.from_field(scope.field) == scope


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        # What the tenant's name goes on with, and the env: of one scope and of the other.
        (("", "dev"), ("b", "dev")),
        (("", "dev"), ("-b", "dev")),
        (("", "dev"), ("_b", "dev")),
        (("-", "dev"), ("_", "dev")),
        (("", "dev"), ("-dev", "dev")),
        (("", "dev"), ("_dev", "dev")),
        (("", "dev"), ("", "dev-2")),
        (("", "dev"), ("", "dev2")),
        (("", "dev"), ("", "de")),
        (("", "dev-a"), ("-dev", "a")),
        (("", "a-dev"), ("-a", "dev")),
        (("", "dev"), ("", "dev-")),
        (("", "tenants"), ("", "envs")),
        (("x" * 48, "d" * 31), ("x" * 49, "d" * 31)),
        (("x" * 49, "d" * 31), ("x" * 49, "d" * 30)),
    ],
    ids=str,
)
def test_scopes_with_names_near_to_each_other_are_two(
    open_probe: OpenProbe, tenant: str, mine: ScopeName, other: ScopeName
) -> None:
    one, two = (open_probe(tenant + end, env) for end, env in (mine, other))
    one.keep_own()
    assert set(map(tuple, two.own())) == {()}
    assert two.listed() == []
    two.keep_own()
    assert (one.own(), two.own()) == (one.all_own(), two.all_own())
    if two.drop(two.SLOTS[-1], SECRET):
        assert one.own() == one.all_own()
