"""Tokens of principals: what they are good for, and what is none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signalbox.commands.error import InvalidCommand, InvalidSetting
from signalbox.commands.proof import token as own_token
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import PrincipalKey, Role
from signalbox.commands.proof.statement import sign
from signalbox.commands.proof.token import LONGEST, TOKEN, issue
from signalbox.gateway.authentication import check_settings
from signalbox.gateway.settings import GatewaySettings
from tests.gateway.principals import ADMIN, AUDIENCE, KEYS, THIEF, Guarded, grant, guarded, token
from tests.gateway.recorder import served
from tests.integration.signed_registry import change

OBJECT, ROUTES = "/v1/objects/t_acme/prod/k", "/v1/routes/object_store?tenant=t_acme"
READ, ROUTE = "r" * 32, "w" * 32
PRODUCER = KEYS[Role.PRODUCER]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    with guarded(tmp_path, monkeypatch) as running:
        yield running


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"aud": AUDIENCE, "iat": now, "exp": now + 60, "sub": "producer"}
    usual["grant"] = grant().model_dump(mode="json")
    return {name: value for name, value in (usual | other).items() if value is not None}


def refused(gateway: Guarded, given: str, code: str = "TOKEN_INVALID") -> None:
    gateway.server.services.read_.clear()
    answer = gateway.call(given, "GET", OBJECT)
    assert (answer.status, answer.json()["error_code"]) == (401, code), answer.body
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["next_step"]
    assert not gateway.server.services.read_


def test_a_token_allows_what_its_principal_may_and_no_more(gateway: Guarded) -> None:
    given = token(PRODUCER, "producer")  # it says all roles, and all tenants
    assert gateway.call(given, "GET", OBJECT).status == 200
    for path in ("/v1/objects/t_other/prod/k", "/v1/objects/t_acme/dev/k", ROUTES):
        answer = gateway.call(given, "GET", path)
        assert (answer.status, answer.json()["error_code"]) == (403, "NOT_GRANTED"), path
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    document = gateway.call(given, "GET", "/v1/objects/t_other/prod/k").json()
    assert (document["tenant_id"], document["env"]) == ("t_other", "prod")
    assert "object_store.get" in document["detail"]


@pytest.mark.parametrize(
    ("narrowed", "method", "status"),
    [
        ({"roles": ["reader"]}, "GET", 200),
        ({"roles": ["reader"]}, "PUT", 403),
        ({"ops": ["object_store.put"]}, "GET", 403),
        ({"ops": ["object_store.put"]}, "PUT", 200),
        ({"tenants": ["t_other"]}, "GET", 403),
        ({"envs": ["dev"]}, "GET", 403),
        ({"tenants": ["t_a*"], "envs": ["pro*"]}, "GET", 200),
        ({"roles": []}, "GET", 403),
    ],
)
def test_a_token_is_narrower_than_its_principal(
    gateway: Guarded, narrowed: dict[str, Any], method: str, status: int
) -> None:
    given = token(PRODUCER, "producer", grant(**narrowed))
    assert gateway.call(given, method, OBJECT, "text").status == status


def test_an_administrator_has_others_act_as_far_as_these_may(gateway: Guarded) -> None:
    as_producer = token(ADMIN, "producer")
    assert gateway.call(as_producer, "GET", OBJECT).status == 200
    assert gateway.call(as_producer, "GET", ROUTES).status == 403
    assert gateway.call(token(ADMIN, "alice"), "GET", ROUTES).status == 200
    refused(gateway, token(ADMIN, "nobody"))
    refused(gateway, token(PRODUCER, "operator"))
    refused(gateway, token(PRODUCER, "alice"))


def test_a_revocation_and_a_narrower_grant_count_at_once(gateway: Guarded) -> None:
    mine, by_admin = token(PRODUCER, "producer"), token(ADMIN, "producer")
    assert gateway.call(mine, "GET", OBJECT).status == 200
    gateway.principals.grant("producer", {"ops": ("object_store.put",)}, change())
    assert gateway.call(mine, "GET", OBJECT).status == 403
    assert gateway.call(mine, "PUT", OBJECT, "text").status == 200
    gateway.principals.revoke("producer", change())
    refused(gateway, mine)
    refused(gateway, by_admin)


def test_a_key_that_is_removed_or_out_of_time_signs_nothing(gateway: Guarded) -> None:
    old, new = token(PRODUCER, "producer"), PrivateKey(b"n" * 32)
    late = datetime.now(UTC) + timedelta(hours=1)
    added = PrincipalKey(x=encode(new.public.raw), not_before=late)
    gateway.principals.rotate("producer", change(), add=added, remove=PRODUCER.kid)
    refused(gateway, old)
    refused(gateway, token(new, "producer"))
    gateway.principals.rotate(
        "producer", change(), add=PrincipalKey(x=encode(THIEF.public.raw)), remove=new.kid
    )
    assert gateway.call(token(THIEF, "producer"), "GET", OBJECT).status == 200
    ended = datetime.now(UTC) - timedelta(seconds=1)
    gateway.principals.grant("producer", {"expires": ended}, change())
    refused(gateway, token(THIEF, "producer"))


def test_what_is_no_token_of_ours_is_refused(gateway: Guarded) -> None:
    good = sign(PRODUCER, TOKEN, claims())
    assert gateway.call(good, "GET", OBJECT).status == 200
    gateway.server.services.read_.clear()
    head, body, signature = good.split(".")
    now = int(time.time())
    none = encode(json.dumps({"alg": "none", "kid": PRODUCER.kid, "typ": TOKEN}).encode())
    public = PRODUCER.public.raw
    key = Ed25519PrivateKey.from_private_bytes(PRODUCER.raw)
    hashed = jwt.encode(claims(), public.ljust(32), "HS256", {"kid": PRODUCER.kid, "typ": TOKEN})
    attacks = {
        "nothing": "x",
        "cut": good[:-2],
        "without signature": f"{head}.{body}.",
        "other claims": f"{head}.{encode(json.dumps(claims(sub='admin')).encode())}.{signature}",
        "alg none": f"{none}.{body}.",
        "alg none, signed": f"{none}.{body}.{signature}",
        "HS256 with the public key": hashed,
        "unknown key": sign(THIEF, TOKEN, claims()),
        "other type": sign(PRODUCER, "signalbox-command", claims()),
        "no type": jwt.encode(claims(), key, "EdDSA", {"kid": PRODUCER.kid}),
        "other audience": sign(PRODUCER, TOKEN, claims(aud="another")),
        "no audience": sign(PRODUCER, TOKEN, claims(aud=None)),
        "not yet": sign(PRODUCER, TOKEN, claims(iat=now + 600, exp=now + 660)),
        "too long": sign(PRODUCER, TOKEN, claims(iat=now, exp=now + LONGEST.total_seconds() + 1)),
        "no end": sign(PRODUCER, TOKEN, claims(exp=None)),
        "an endless end": sign(PRODUCER, TOKEN, claims(exp=1e300)),
        "no grant": sign(PRODUCER, TOKEN, claims(grant=None)),
        "another member": sign(PRODUCER, TOKEN, claims(more=1)),
        "an unknown role": sign(
            PRODUCER, TOKEN, claims(grant=grant().model_dump() | {"roles": ["r"]})
        ),
        "a name that is none": sign(PRODUCER, TOKEN, claims(sub="Ann")),
        "a list as its name": sign(PRODUCER, TOKEN, claims(sub=["producer"])),
        "long": sign(PRODUCER, TOKEN, claims(sub="p" * 20_000)),
    }
    for what, given in attacks.items():
        answer = gateway.call(given, "GET", OBJECT)
        assert answer.status in (401, 431), what
        assert not gateway.server.services.read_, what
    refused(gateway, sign(PRODUCER, TOKEN, claims(iat=now - 600, exp=now - 120)), "TOKEN_EXPIRED")


def test_a_token_is_verified_once_and_ends_in_time(
    gateway: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = token(PRODUCER, "producer")
    assert gateway.call(given, "GET", OBJECT).status == 200
    monkeypatch.setattr(own_token, "read", None)  # it would be called anew
    assert gateway.call(given, "GET", OBJECT).status == 200
    later = time.time() + 60 + 61
    monkeypatch.setattr(time, "time", lambda: later)
    refused(gateway, given, "TOKEN_EXPIRED")


def test_the_tail_of_a_stream_ends_with_its_token(gateway: Guarded) -> None:
    given = token(PRODUCER, "producer")
    services = gateway.server.services
    read, calls = services.read, []

    async def counted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            gateway.principals.revoke("producer", change())
        return await read(*given)

    services.read = counted  # type: ignore[method-assign, assignment]
    answer = gateway.call(given, "GET", "/v1/streams/t_acme/prod/s/tail")
    assert answer.status == 200
    assert b"event: error" in answer.body
    assert b"TOKEN_INVALID" in answer.body
    assert len(calls) == 2


def test_a_static_token_counts_as_before_beside_principals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: tmp_path / name for name in ("read", "route")}
    files["read"].write_text(READ)
    files["route"].write_text(ROUTE)
    own = {"read_token_file": files["read"], "route_token_file": files["route"]}
    with guarded(tmp_path, monkeypatch, **own) as gateway:
        assert gateway.call(READ, "GET", OBJECT).status == 200
        answer = gateway.call(READ, "PUT", "/v1/policies/t_acme", {"terms": {}, "reason": "r"})
        assert answer.json()["error_code"] == "WRONG_TOKEN"
        assert gateway.call(ROUTE, "GET", ROUTES).status == 200
        assert gateway.call(token(PRODUCER, "producer"), "GET", OBJECT).status == 200
        assert gateway.call(None, "GET", OBJECT).json()["error_code"] == "UNAUTHENTICATED"
        refused_token = gateway.call("x" * 32, "GET", OBJECT)
        assert refused_token.json()["error_code"] == "TOKEN_INVALID"


def test_a_roster_that_does_not_count_lets_nobody_in(gateway: Guarded) -> None:
    given = token(PRODUCER, "producer")
    assert gateway.call(given, "GET", OBJECT).status == 200
    gateway.server.services.client.state.call("HDEL", "{rt}:principals", "all")
    gateway.server.services.client.state.call("HSET", "{rt}:fence", "principals", "99-" + "0" * 16)
    answer = gateway.call(given, "GET", OBJECT)
    assert (answer.status, answer.json()["error_code"]) == (503, "REGISTRY_UNPROVEN")


@pytest.mark.parametrize("span", [timedelta(0), timedelta(hours=13), timedelta(days=-1)])
def test_a_token_is_short_lived(span: timedelta) -> None:
    with pytest.raises(InvalidCommand, match="a token is valid for"):
        issue(PRODUCER, AUDIENCE, "producer", grant(), span)


def test_settings_that_do_not_go_together_are_refused() -> None:
    issuer = {"oidc_issuer": "https://id.example", "oidc_audience": "a"}
    for own in (GatewaySettings(principals="required"), GatewaySettings(**issuer)):  # type: ignore[arg-type]
        with pytest.raises(InvalidSetting):
            check_settings(own, None)
    check_settings(GatewaySettings(), None)


def test_without_principals_nothing_is_asked_and_no_token_of_theirs_counts(tmp_path: Path) -> None:
    (tmp_path / "read").write_text(READ)
    choices: list[dict[str, Any]] = [{}, {"read_token_file": tmp_path / "read"}]
    for own in choices:
        with served(one_core=False, **own) as server:
            gateway = Guarded(server)
            assert server.app.state.authentication is None
            assert gateway.call(READ if own else None, "GET", OBJECT).status == 200
            answer = gateway.call(token(PRODUCER, "producer"), "GET", OBJECT)
            assert answer.status == (401 if own else 200)
