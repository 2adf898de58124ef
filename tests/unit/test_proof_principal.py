"""Principals, keys and the trust file: what counts, and what is refused."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from signalbox.commands.error import (
    InvalidCommand,
    InvalidSetting,
    LocalFileError,
    NotGranted,
    SignatureInvalid,
)
from signalbox.commands.parse import known_ops
from signalbox.commands.proof.keys import PrivateKey, PublicKey, encode, load_private, public_of
from signalbox.commands.proof.principal import ROLE_OPS, Principal, PrincipalKey, Role, matches
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import administrator, trust_of
from signalbox.commands.settings import Settings

KEY, NEXT, OTHER = PrivateKey(b"1" * 32), PrivateKey(b"2" * 32), PrivateKey(b"3" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(private: PrivateKey = KEY, **other: Any) -> PrincipalKey:
    return PrincipalKey(x=encode(private.public.raw), **other)


def principal(**other: Any) -> Principal:
    fields: dict[str, Any] = {
        "name": "billing",
        "keys": [key()],
        "roles": ["producer"],
        "tenants": ["t_acme", "t_lab-*"],
        "envs": ["prod"],
    }
    return Principal(**(fields | other))


@pytest.mark.parametrize(
    ("op", "tenant", "env", "may"),
    [
        ("object_store.put", "t_acme", "prod", True),
        ("object_store.put", "t_lab-1", "prod", True),
        ("object_store.put", "t_lab", "prod", False),
        ("object_store.put", "t_acme2", "prod", False),
        ("object_store.put", "xt_acme", "prod", False),
        ("object_store.put", "t_acme\n", "prod", False),
        ("object_store.put", "t_acme", "dev", False),
        ("routing.set", "t_acme", "prod", False),
        ("registry.rebase", None, None, False),
        ("object_store.put", None, "prod", False),
        ("object_store.put", "t_acme", None, False),
    ],
)
def test_a_grant_covers_what_it_names(
    op: str, tenant: str | None, env: str | None, may: bool
) -> None:
    assert principal().permits(op, tenant, env) is may


def test_ops_narrow_the_roles_and_never_widen_them() -> None:
    narrow = principal(ops=["object_store.*", "routing.*"])
    assert narrow.permits("object_store.get", "t_acme", "prod")
    assert not narrow.permits("event_stream.read", "t_acme", "prod")
    assert not narrow.permits("routing.set", "t_acme", "prod")


def test_all_tenants_and_envs_are_granted_by_a_star_alone() -> None:
    everywhere = principal(roles=["admin"], tenants=["*"], envs=["*"])
    assert everywhere.permits("registry.rebase", None, None)
    assert not principal(roles=["admin"], tenants=["t_*"]).permits("registry.rebase", None, None)


def test_the_table_of_roles_is_of_operations_that_there_are() -> None:
    """Every command is in exactly the roles that its nature says."""
    for op, model in known_ops().items():
        roles = {role for role, ops in ROLE_OPS.items() if matches(op, ops)}
        if op.startswith("routing."):
            assert roles == {Role.OPERATOR, Role.ADMIN}, op
        elif model.writes or op in ("object_store.presign_put", "object_store.presign_post"):
            # Whoever holds such a link writes.
            assert roles == {Role.PRODUCER, Role.ADMIN}, op
        else:
            assert roles == {Role.READER, Role.PRODUCER, Role.ADMIN}, op


def test_no_role_matches_without_being_given() -> None:
    assert not any(principal(roles=[]).permits(op, "t_acme", "prod") for op in known_ops())


@pytest.mark.parametrize(
    ("who", "private", "at", "reason"),
    [
        (principal(), KEY, NOW, None),
        (principal(keys=[key(), key(NEXT)]), NEXT, NOW, None),
        (principal(), OTHER, NOW, "does not have this key"),
        (principal(revoked=NOW + HOUR), KEY, NOW, "revoked"),
        (principal(expires=NOW), KEY, NOW, "expired"),
        (principal(expires=NOW + HOUR), KEY, NOW, None),
        (principal(keys=[key(expires=NOW)]), KEY, NOW, "expired"),
        (principal(keys=[key(not_before=NOW + HOUR)]), KEY, NOW, "not valid yet"),
        (principal(keys=[key(not_before=NOW)]), KEY, NOW, None),
    ],
)
def test_a_key_counts_while_it_and_its_principal_do(
    who: Principal, private: PrivateKey, at: datetime, reason: str | None
) -> None:
    def run() -> None:
        who.check(private.kid, "object_store.put", "t_acme", "prod", at=at)

    if reason is None:
        run()
        return
    with pytest.raises(SignatureInvalid, match=reason):
        run()


def test_what_is_not_granted_names_where_and_what_to_do() -> None:
    with pytest.raises(NotGranted) as refused:
        principal().check(KEY.kid, "object_store.put", "t_other", "prod", at=NOW)
    error = refused.value
    assert (error.tenant_id, error.env) == ("t_other", "prod")
    assert "object_store.put" in error.message
    assert "principal show billing" in str(error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Billing"},
        {"name": "a/b"},
        {"name": ""},
        {"tenants": ["t_acme/prod"]},
        {"tenants": ["t_[a-z]"]},
        {"tenants": ["*a*b*c*"]},
        {"tenants": [""]},
        {"roles": ["root"]},
        {"keys": [{"x": "short"}]},
        {"keys": [{"x": "A" * 42 + "B"}]},  # bits that no 32 bytes have
        {"unknown": 1},
    ],
)
def test_a_malformed_principal_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, InvalidCommand)):
        principal(**wrong)


def test_the_id_of_a_key_is_its_thumbprint() -> None:
    """The example of RFC 8037, A.3."""
    known = public_of(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )
    assert known.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_key_is_written_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "key"
    private = PrivateKey.new()
    private.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_private(path) == private
    assert encode(private.raw) not in repr(private)
    with pytest.raises(LocalFileError):
        private.save(path)  # which would be the end of the one that is there


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps(KEY.public.jwk()),
        json.dumps(KEY.public.jwk() | {"d": encode(OTHER.raw)}),
        json.dumps(KEY.public.jwk() | {"d": encode(b"short")}),
        json.dumps(KEY.public.jwk() | {"d": 1}),
        json.dumps(KEY.public.jwk() | {"d": encode(KEY.raw), "kty": "EC"}),
    ],
)
def test_a_file_without_a_private_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises((InvalidCommand, LocalFileError)) as refused:
        load_private(path)
    assert encode(KEY.raw) not in str(refused.value)


def trust_settings(tmp_path: Path, document: Any, **other: Any) -> Settings:
    path = tmp_path / "trust.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    fields: dict[str, Any] = {"trust_file": path, "audience": "test"}
    return Settings(**(fields | other))


ADMIN = administrator("alice", KEY.public)


def test_a_trust_file_names_administrators_and_floors(tmp_path: Path) -> None:
    document = {"keys": [ADMIN], "signatures": "required", "floor": 7}
    trust = trust_of(trust_settings(tmp_path, document))
    assert trust is not None
    assert trust.administrators == {KEY.kid: ("alice", KEY.public)}
    assert (trust.signatures, trust.floor, trust.signer) == (Signatures.REQUIRED, 7, None)


def test_the_stricter_of_two_holds() -> None:
    off, observe, required = Signatures
    assert off.stricter(observe) is observe
    assert required.stricter(off) is required
    assert observe.stricter(observe) is observe


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "not JSON"),
        ({}, "no list"),
        ({"keys": []}, "no list"),
        ({"keys": [ADMIN | {"name": "A B"}]}, "invalid name"),
        ({"keys": [KEY.public.jwk()]}, "invalid name"),
        ({"keys": [ADMIN | {"x": encode(OTHER.public.raw)}]}, "no public key"),
        ({"keys": [ADMIN | {"d": encode(KEY.raw)}]}, "a private key"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0", "name": "a"}]}, "no public key"),
        ({"keys": ["x"]}, "no public key"),
        ({"keys": [ADMIN], "signatures": "of"}, "none of"),
        ({"keys": [ADMIN], "signatures": False}, "none of"),
        ({"keys": [ADMIN], "floor": -1}, "no revision"),
        ({"keys": [ADMIN], "floor": True}, "no revision"),
        ({"keys": [ADMIN], "signature": "required"}, "unknown members: signature"),
    ],
)
def test_a_trust_file_that_is_wrong_ends_the_process_rather_than_the_checks(
    tmp_path: Path, document: Any, reason: str
) -> None:
    with pytest.raises(InvalidSetting, match=reason) as refused:
        trust_of(trust_settings(tmp_path, document))
    assert encode(KEY.raw) not in str(refused.value)


def test_trust_needs_the_name_of_the_deployment(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="SIGNALBOX_AUDIENCE"):
        trust_of(trust_settings(tmp_path, {"keys": [ADMIN]}, audience=None))
    with pytest.raises(InvalidSetting, match="SIGNALBOX_TRUST_FILE"):
        trust_of(Settings(trust_file=tmp_path / "absent", audience="test"))
    assert trust_of(Settings()) is None


def test_a_key_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="SIGNALBOX_KEY_FILE"):
        trust_of(trust_settings(tmp_path, {"keys": [ADMIN]}, key_file=tmp_path / "absent"))


def test_public_keys_are_equal_by_what_they_are() -> None:
    assert PublicKey(KEY.public.raw) == KEY.public != OTHER.public
