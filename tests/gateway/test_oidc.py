"""Tokens of an OpenID Connect provider, which runs here: keys, rotation, claims, absence."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signalbox.commands.error import InvalidSetting
from signalbox.commands.proof.keys import encode
from signalbox.gateway import oidc_keys
from signalbox.gateway.oidc_keys import check_address
from tests.gateway.oidc_provider import AUDIENCE, Key, Provider, provider
from tests.gateway.principals import Guarded, guarded

OBJECT = "/v1/objects/t_acme/prod/k"
NAMES = {"ann": "producer", "ops-team": "operator", "bob": "reader", "eve": "nobody"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def gateway(issuer: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    issuer.keys, issuer.documents, issuer.down = issuer.keys[:1], {}, False
    issuer.asked.clear()
    own = settings(issuer) | {"oidc_refresh": timedelta(0)}
    with guarded(tmp_path, monkeypatch, **own) as running:
        yield running


def settings(issuer: Provider) -> dict[str, Any]:
    return {
        "oidc_claim": "who",
        "oidc_issuer": issuer.issuer,
        "oidc_audience": AUDIENCE,
        "oidc_principals": NAMES,
    }


def _with_secret(issuer: Provider, key: Key) -> str:
    """A token by HMAC whose secret is the public key, which libraries refuse to make."""
    pem = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = {"alg": "HS256", "kid": key.kid}, issuer.claims()
    message = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{message}.{encode(hmac.digest(pem, message.encode(), 'sha256'))}"


def code(gateway: Guarded, given: str, path: str = OBJECT) -> str:
    answer = gateway.call(given, "GET", path)
    return "" if answer.status == 200 else str(answer.json()["error_code"])


def test_a_claim_says_which_principal_it_is(gateway: Guarded, issuer: Provider) -> None:
    assert code(gateway, issuer.token()) == ""
    assert code(gateway, issuer.token(), "/v1/objects/t_other/prod/k") == "NOT_GRANTED"
    assert code(gateway, issuer.token(who="ops-team")) == "NOT_GRANTED"
    routes = "/v1/routes/object_store/t_acme/prod/history"
    assert code(gateway, issuer.token(who="ops-team"), routes) == ""
    assert code(gateway, issuer.token(who=["x", "bob"])) == ""
    for nobody in ("mallory", "producer", ["ann", "bob"], 7, None, {"ann": 1}):
        answer = gateway.call(issuer.token_of(who=nobody), "GET", OBJECT)
        assert (answer.status, answer.json()["error_code"]) == (403, "NOT_GRANTED"), nobody
    assert code(gateway, issuer.token(who="eve")) == "TOKEN_INVALID"  # no such principal


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_the_algorithms_that_count(gateway: Guarded, issuer: Provider, algorithm: str) -> None:
    issuer.keys = [*issuer.keys, Key(algorithm, algorithm)]
    assert code(gateway, issuer.token()) == ""


def test_a_rotation_is_noticed_and_a_withdrawn_key_ends(
    gateway: Guarded, issuer: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = issuer.keys[0], Key("second")
    old = issuer.token(first)
    assert code(gateway, old) == ""
    issuer.keys = [first, second]
    assert code(gateway, issuer.token(second)) == ""  # an unknown key has them read anew
    asked = len(issuer.asked)
    assert code(gateway, old) == ""
    assert len(issuer.asked) == asked  # and a known one does not
    issuer.keys = [second]
    monkeypatch.setattr(oidc_keys, "FRESH", timedelta(0))
    while code(gateway, old) != "TOKEN_INVALID":  # it is read beside the requests
        time.sleep(0.01)
    assert code(gateway, issuer.token(second)) == ""


def test_unknown_keys_have_the_issuer_asked_at_most_so_often(
    issuer: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.asked.clear()
    own = settings(issuer) | {"oidc_refresh": timedelta(hours=1)}
    with guarded(tmp_path, monkeypatch, **own) as gateway:
        for number in range(20):
            assert code(gateway, issuer.token(headers={"kid": f"k{number}"})) == "TOKEN_INVALID"
        assert code(gateway, issuer.token()) == ""
    assert len(issuer.asked) == 2


def test_an_issuer_that_is_down_is_an_error_of_its_own(
    gateway: Guarded, issuer: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.down = True
    given = issuer.token()
    answer = gateway.call(given, "GET", OBJECT)
    assert (answer.status, answer.json()["error_code"]) == (503, "ISSUER_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
    assert not gateway.server.services.read_
    issuer.down = False
    assert code(gateway, given) == ""
    issuer.down = True
    assert code(gateway, given) == ""  # its keys are known
    assert code(gateway, issuer.token(headers={"kid": "new"})) == "ISSUER_UNAVAILABLE"
    monkeypatch.setattr(oidc_keys, "STALE", timedelta(0))
    assert code(gateway, given) == "ISSUER_UNAVAILABLE"


def test_what_is_no_token_of_the_issuer_is_refused(gateway: Guarded, issuer: Provider) -> None:
    key, now = issuer.keys[0], int(time.time())
    stranger = Key("first")
    other = encode(json.dumps(issuer.claims(who="bob")).encode())
    good = issuer.token()
    head, body, signature = good.split(".")
    none = encode(json.dumps({"alg": "none", "kid": "first"}).encode())
    as_ec = encode(json.dumps({"alg": "ES256", "kid": "first"}).encode())
    attacks = {
        "another's key": issuer.token(stranger),
        "alg none": f"{none}.{body}.",
        "HS256 with the public key": _with_secret(issuer, key),
        "another algorithm": f"{as_ec}.{body}.{signature}",
        "RS512": jwt.encode(issuer.claims(), key.private, "RS512", {"kid": "first"}),
        "cut": good[:-3],
        "other claims": f"{head}.{other}.{signature}",
        "no kid": jwt.encode(issuer.claims(), key.private, "RS256"),
        "its own key": issuer.token(stranger, headers={"kid": "mine", "jwk": stranger.jwk}),
        "the address of one": issuer.token(stranger, headers={"kid": "m", "jku": "http://x/"}),
        "crit": issuer.token(headers={"crit": ["b64"], "b64": True}),
        "another type": issuer.token(headers={"typ": "logout+jwt"}),
        "another audience": issuer.token(aud="another"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://evil.example"),
        "no issuer": issuer.token(iss=None),
        "no end": issuer.token(exp=None),
        "an end that is none": issuer.token_of(exp="never"),
        "not yet": issuer.token(nbf=now + 600),
        "issued later": issuer.token(iat=now + 600),
    }
    for what, given in attacks.items():
        assert code(gateway, given) == "TOKEN_INVALID", what
    assert not gateway.server.services.read_
    assert code(gateway, issuer.token(exp=now - 120)) == "TOKEN_EXPIRED"
    # Clocks may differ by a minute.
    assert code(gateway, issuer.token(exp=now - 30)) == ""
    assert code(gateway, issuer.token(nbf=now + 30, iat=now + 30)) == ""


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/realm/.well-known/openid-configuration", {"issuer": "https://evil.example"}),
        ("/realm/.well-known/openid-configuration", []),
        ("/realm/keys", {"keys": "none"}),
        ("/realm/keys", []),
    ],
)
def test_documents_that_are_none_are_not_believed(
    gateway: Guarded, issuer: Provider, path: str, document: Any
) -> None:
    issuer.documents[path] = document
    assert code(gateway, issuer.token()) == "ISSUER_UNAVAILABLE"


def test_keys_that_may_not_sign_are_left_out(gateway: Guarded, issuer: Provider) -> None:
    weak, twice = Key("weak", bits=1024), [Key("twice"), Key("twice")]
    encrypts = Key("encrypts")
    encrypts.jwk["use"] = "enc"
    secret = {"kty": "oct", "kid": "secret", "k": encode(b"s" * 32), "alg": "HS256"}
    jwks = [key.jwk for key in (issuer.keys[0], weak, *twice, encrypts)] + [secret, 7, {"kid": 1}]
    issuer.documents["/realm/keys"] = {"keys": jwks}
    for key in (weak, *twice, encrypts):
        assert code(gateway, issuer.token(key)) == "TOKEN_INVALID", key.kid
    hashed = jwt.encode(issuer.claims(), b"s" * 32, "HS256", {"kid": "secret"})
    assert code(gateway, hashed) == "TOKEN_INVALID"
    assert code(gateway, issuer.token()) == ""


@pytest.mark.parametrize("address", ["http://id.example", "ftp://x", "id.example", "https://"])
def test_an_issuer_is_reached_by_tls_alone(address: str) -> None:
    with pytest.raises(InvalidSetting):
        check_address(address)
    check_address("https://id.example/realm")


def test_an_issuer_without_an_audience_is_refused(
    issuer: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings(issuer) | {"oidc_audience": None}
    with pytest.raises(AssertionError), guarded(tmp_path, monkeypatch, **own):
        pass
