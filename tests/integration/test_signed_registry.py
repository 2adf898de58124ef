"""Changes are signed, and what the registry holds counts only if it is proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import (
    Conflict,
    InvalidCommand,
    InvalidSetting,
    NotFound,
    NotGranted,
    RegistryUnproven,
    SignatureInvalid,
    SignatureMissing,
)
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import PrincipalKey
from signalbox.commands.proof.trust import Trust
from signalbox.commands.state import State, connect
from signalbox.routing.audit.adoption import adopt, candidates
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.registry import Registry
from tests.integration.signed_registry import (
    ACME,
    ADMIN,
    AUDIENCE,
    OPS,
    OTHER,
    OTHERS,
    THIEF,
    SignedRegistry,
    change,
    principal,
    target,
)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    with connect(state_url) as client:
        client.server().flushdb()
        yield client


@pytest.fixture
def signed(client: State, tmp_path: Path) -> SignedRegistry:
    signed = SignedRegistry(client, tmp_path)
    signed.begin()
    return signed


def test_a_signed_route_is_read_by_who_trusts_its_author(signed: SignedRegistry) -> None:
    reader = signed.by(None)
    route = reader.get(ACME)
    assert route is not None
    assert route.config == {"base_dir": str(signed.folder / "acme")}
    assert route.proof
    assert [r.scope for r in reader.list_page(ACME.kind).routes] == [ACME, OTHERS]


def test_changes_of_every_kind_are_signed_and_believed(signed: SignedRegistry) -> None:
    ops, reader = signed.by(OPS), signed.by(None)
    lock = ops.locks.lock(ACME, timedelta(minutes=1), change())
    assert ops.locks.lock(ACME, timedelta(minutes=2), change()).token == lock.token
    switched = ops.switch(ACME, target(signed.folder / "new"), change(), lock_token=lock.token)
    assert reader.get(ACME) == switched
    ops.locks.unlock(ACME, change())
    policy = ops.policies.set("t_acme", Terms(price_table="p"), change())
    assert reader.policies.get("t_acme") == policy
    ops.delete(ACME, change())
    assert reader.get(ACME) is None
    assert ops.set(ACME, target(signed.folder / "again"), change()) == reader.get(ACME)
    with pytest.raises(Conflict):
        ops.set(ACME, target(signed.folder / "again2"), change(), if_revision=1)
    assert rebase(signed.by(ADMIN), change()) is not None
    assert reader.get(ACME) == signed.by(None).get(ACME)
    verifier = reader.rosters.now() if reader.rosters else None
    assert verifier is not None
    events = reader.events(0)
    assert len(events) == 13
    assert [verifier.event(event).name for event in events[:4]] == [
        "alice",
        "alice",
        "ops",
        "other",
    ]
    assert all(verifier.proves(event) for event in events)


def test_what_is_not_granted_is_refused_before_it_is_written(signed: SignedRegistry) -> None:
    head = signed.by(None).head()
    with pytest.raises(NotGranted, match=r"routing\.switch in t_other/prod"):
        signed.by(OPS).switch(OTHERS, target(signed.folder / "mine"), change())
    with pytest.raises(NotGranted):
        signed.by(OPS).policies.set("t_other", Terms(), change())
    with pytest.raises(NotGranted):
        rebase(signed.by(OPS), change())
    with pytest.raises(NotGranted, match="change principals"):
        signed.by(OPS).principals.grant("ops", {"tenants": ("*",)}, change())
    with pytest.raises(NotGranted, match="no principal"):
        signed.by(THIEF).set(ACME, target(signed.folder / "mine"), change())
    with pytest.raises(SignatureMissing, match="SIGNALBOX_KEY_FILE"):
        signed.by(None).set(ACME, target(signed.folder / "mine"), change())
    assert signed.by(None).head() == head


def test_without_trust_nothing_is_added_to_what_is_stored(client: State, tmp_path: Path) -> None:
    registry = Registry(client)
    registry.set(ACME, target(tmp_path), change())
    with pytest.raises(InvalidSetting):
        _ = registry.principals
    for key, name in (("{rt}:routes", ACME.field),):
        assert b"proof" not in client.call("HGET", key, name)
    assert b"proof" not in client.call("XRANGE", "{rt}:log", "-", "+")[0][1][b"event"]
    assert client.call("EXISTS", "{rt}:principals", "{rt}:gone") == 0


def test_a_revocation_ends_all_that_the_principal_has_signed(signed: SignedRegistry) -> None:
    reader = signed.by(None)
    assert reader.get(ACME) is not None
    signed.by(ADMIN).principals.revoke("ops", change())
    with pytest.raises(RegistryUnproven, match="revoked"):
        reader.get(ACME)
    assert reader.get(OTHERS) is not None
    with pytest.raises(SignatureInvalid, match="revoked"):
        signed.by(OPS).set(ACME, target(signed.folder / "acme"), change())
    # An administrator, or another operator, sets it again as it is.
    mended = signed.by(ADMIN).set(ACME, target(signed.folder / "acme"), change())
    assert reader.get(ACME) == mended


def test_keys_are_rotated_with_two_that_count_meanwhile(signed: SignedRegistry) -> None:
    new = PrivateKey(b"n" * 32)
    admin, reader = signed.by(ADMIN).principals, signed.by(None)
    admin.rotate("ops", change(), add=PrincipalKey(x=encode(new.public.raw)))
    assert reader.get(ACME) is not None
    route = signed.by(new).switch(ACME, target(signed.folder / "new"), change())
    admin.rotate("ops", change(), remove=OPS.kid)
    assert reader.get(ACME) == route
    with pytest.raises(NotGranted):
        signed.by(OPS).switch(ACME, target(signed.folder / "old"), change())
    with pytest.raises(NotFound):
        admin.rotate("ops", change(), remove=OPS.kid)


def test_an_administrator_is_replaced_and_the_principals_go_on(signed: SignedRegistry) -> None:
    new = PrivateKey(b"z" * 32)
    signed.by(ADMIN).switch(OTHERS, target(signed.folder / "new"), change())
    trusting = Trust(AUDIENCE, {new.kid: ("bob", new.public)}, signer=new)
    registry = Registry(signed.client, trusting)
    with pytest.raises(RegistryUnproven, match="key is not known"):
        registry.get(ACME)
    with pytest.raises(RegistryUnproven):
        registry.principals.grant("ops", {"envs": ("prod",)}, change())
    with pytest.raises(NotGranted):
        signed.by(OPS).principals.adopt(registry.principals.standing(), change())
    registry.principals.adopt(registry.principals.standing(), change())
    assert [each.name for each in registry.principals.all()] == ["ops", "other"]
    # The tree of all records was stated by who is no administrator any more: it begins anew.
    found = list(candidates(registry, registry.principals.verifier()))
    assert [each.record.subject for each in found] == [ACME.field, OTHERS.field]
    for each in found:
        adopt(registry, each, change())
    assert registry.get(ACME) is not None


def test_names_and_keys_are_used_once(signed: SignedRegistry) -> None:
    admin = signed.by(ADMIN).principals
    for taken in (principal("ops", THIEF), principal("new", OTHER), principal("new", ADMIN)):
        with pytest.raises(Conflict):
            admin.add(taken, change())
    admin.revoke("ops", change())
    with pytest.raises(Conflict, match="taken"):
        admin.add(principal("ops2", OPS), change())
    with pytest.raises(Conflict, match="revoked"):
        admin.grant("ops", {"tenants": ("*",)}, change())
    assert [p.name for p in admin.all()] == ["ops", "other"]


def test_a_key_that_was_removed_counts_again_only_where_an_administrator_adds_it(
    signed: SignedRegistry,
) -> None:
    """Under the same id. That of a revoked principal is not added at all."""
    admin, own = signed.by(ADMIN).principals, PrincipalKey(x=encode(OPS.public.raw))
    admin.rotate("ops", change(), add=PrincipalKey(x=encode(THIEF.public.raw)), remove=OPS.kid)
    with pytest.raises(RegistryUnproven):
        signed.by(None).get(ACME)
    # As the key of another, it makes nothing of what it signed for its former owner count.
    admin.add(principal("successor", OPS, tenants=["t_successor"]), change())
    with pytest.raises(RegistryUnproven):
        signed.by(None).get(ACME)
    with pytest.raises(Conflict, match="taken"):
        admin.rotate("ops", change(), add=own)
    admin.rotate(
        "successor",
        change(),
        add=PrincipalKey(x=encode(PrivateKey(b"s" * 32).public.raw)),
        remove=OPS.kid,
    )
    admin.rotate("ops", change(), add=own)
    assert signed.by(None).get(ACME) is not None


def test_a_point_that_is_no_key_becomes_no_principals(signed: SignedRegistry) -> None:
    head = signed.by(None).head()
    for raw in (bytes(32), b"\1" + bytes(31), b"\xff" * 32):
        key = PrincipalKey(x=encode(raw))
        admin = signed.by(ADMIN).principals
        with pytest.raises(InvalidCommand, match="no point of the curve"):
            admin.add(principal("eve", THIEF, keys=[key]), change())
        with pytest.raises(InvalidCommand, match="no point of the curve"):
            admin.rotate("ops", change(), add=key)
    assert signed.by(None).head() == head
