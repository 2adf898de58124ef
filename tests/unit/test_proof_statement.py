"""Tokens that attackers make are refused, and what is right counts, also what PyJWT makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from signalbox.commands.error import SignatureInvalid
from signalbox.commands.proof.keys import PrivateKey, PublicKey, decode, encode
from signalbox.commands.proof.statement import check_times, sign, verify

TYP = "test-statement"
AUD = "test-deployment"
KEY, OTHER = PrivateKey(b"k" * 32), PrivateKey(b"o" * 32)
CLAIMS = {"aud": AUD, "op_id": "1", "number": 1.5, "list": [1, None, True], "text": "naïve 🚂"}
GOOD = sign(KEY, TYP, CLAIMS)
SEED = Ed25519PrivateKey.from_private_bytes(KEY.raw)


def keys(kid: str) -> PublicKey | None:
    return {KEY.kid: KEY.public}.get(kid)


def check(token: str | bytes, **other: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"typ": TYP, "audience": AUD, "key_of": keys}
    return verify(token, **(known | other)).claims


def part(document: Any) -> str:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return encode(text)


def signed(header: Any, claims: Any = CLAIMS, key: PrivateKey = KEY) -> str:
    """A token with any header and claims, and the key's signature over just these."""
    message = f"{part(header)}.{part(claims)}"
    return f"{message}.{encode(key.sign(message.encode()))}"


def header(**other: Any) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": KEY.kid, "typ": TYP} | other


def hs256(secret: bytes, **other: Any) -> str:
    """A token whose `signature` is made with what everyone knows: the public key."""
    message = f"{part(header(alg='HS256', **other))}.{part(CLAIMS)}"
    return f"{message}.{encode(hmac.digest(secret, message.encode(), hashlib.sha256))}"


def pem() -> bytes:
    return SEED.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def rs256() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(CLAIMS, key, "RS256", headers={"kid": KEY.kid, "typ": TYP})


def es256() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(CLAIMS, key, "ES256", headers={"kid": KEY.kid, "typ": TYP})


HEAD, BODY, SIGNATURE = GOOD.split(".")
BOMB = b'{"aud":"test-deployment","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
TWO_KEYS = b'{"alg":"EdDSA","kid":"%s","kid":"%s","typ":"%s"}'
ATTACKS: dict[str, str | bytes] = {
    "alg none": f"{part(header(alg='none'))}.{BODY}.",
    "alg None, signature of another": f"{part(header(alg='None'))}.{BODY}.{SIGNATURE}",
    "alg none, signed": signed(header(alg="none")),
    "no alg": signed({"kid": KEY.kid, "typ": TYP}),
    "alg Ed448": signed(header(alg="Ed448")),
    "alg null": signed(header(alg=None)),
    "alg list": signed(header(alg=["EdDSA"])),
    "alg with another case": signed(header(alg="eddsa")),
    "HS256 with the raw public key": hs256(KEY.public.raw),
    "HS256 with its PEM": hs256(pem()),
    "HS256 with its base64": hs256(encode(KEY.public.raw).encode()),
    "HS256 called EdDSA": hs256(KEY.public.raw).replace("HS256", "EdDSA"),
    "RS256": rs256(),
    "ES256": es256(),
    "kid of another": signed(header(), key=OTHER),
    "kid unknown": signed(header(kid=OTHER.kid), key=OTHER),
    "kid empty": signed(header(kid="")),
    "kid null": signed(header(kid=None)),
    "kid list": signed(header(kid=[KEY.kid])),
    "kid number": signed(header(kid=1)),
    "kid object": signed(header(kid={})),
    "kid path": signed(header(kid="../../dev/null"), key=PrivateKey(b"\0" * 32)),
    "no kid": signed({"alg": "EdDSA", "typ": TYP}),
    "jwk in the header": signed(header(jwk=OTHER.public.jwk()), key=OTHER),
    "jku in the header": signed(header(jku="http://127.0.0.1/keys")),
    "x5c in the header": signed(header(x5c=["MII"])),
    "crit": signed(header(crit=["b64"], b64=False)),
    "unencoded payload": f"{part(header(b64=False))}.{BODY}.{SIGNATURE}",
    "zip": signed(header(zip="DEF")),
    "foreign aud": signed(header(), CLAIMS | {"aud": "other"}),
    "aud prefix": signed(header(), CLAIMS | {"aud": AUD[:-1]}),
    "aud list": signed(header(), CLAIMS | {"aud": [AUD, "other"]}),
    "aud null": signed(header(), CLAIMS | {"aud": None}),
    "no aud": signed(header(), {"op_id": "1"}),
    "typ of another purpose": signed(header(typ="signalbox-change")),
    "typ JWT": signed(header(typ="JWT")),
    "no typ": signed({"alg": "EdDSA", "kid": KEY.kid}),
    "cut by one": GOOD[:-1],
    "cut in half": GOOD[: len(GOOD) // 2],
    "cut signature": f"{HEAD}.{BODY}.{SIGNATURE[:40]}",
    "no signature": f"{HEAD}.{BODY}.",
    "no dot": f"{HEAD}.{BODY}",
    "nothing": "",
    "dots": "..",
    "many dots": "." * 1000,
    "four parts": f"{GOOD}.{SIGNATURE}",
    "signature twice": f"{HEAD}.{BODY}.{SIGNATURE}{SIGNATURE}",
    "padding": f"{HEAD}.{BODY}.{SIGNATURE}==",
    "spaces": f" {GOOD}",
    "line break": f"{GOOD}\n",
    "base64 with + and /": f"{HEAD}.{BODY}.{SIGNATURE}".replace("-", "+").replace("_", "/") + "/",
    "not ASCII": GOOD + "é",
    "not ASCII, bytes": GOOD.encode() + b"\xff",
    "NUL": GOOD + "\0",
    "claims of another token": f"{HEAD}.{part(CLAIMS | {'op_id': '2'})}.{SIGNATURE}",
    "claims in another order": f"{HEAD}.{part(dict(reversed(CLAIMS.items())))}.{SIGNATURE}",
    "doubled kid": signed(TWO_KEYS % (OTHER.kid.encode(), KEY.kid.encode(), TYP.encode())),
    "doubled aud": signed(header(), b'{"aud":"other","aud":"test-deployment"}'),
    "doubled field within": signed(header(), b'{"aud":"test-deployment","a":{"b":1,"b":2}}'),
    "claims a list": signed(header(), ["aud"]),
    "claims a text": signed(header(), "aud"),
    "claims no JSON": signed(header(), b"{"),
    "claims with NaN": signed(header(), b'{"aud":"test-deployment","x":NaN}'),
    "claims with a number beyond all": signed(header(), b'{"aud":"test-deployment","x":1e999}'),
    "claims with digits without end": signed(
        header(), b'{"aud":"test-deployment","x":%s}' % (b"9" * 10_000)
    ),
    "claims in UTF-16": signed(header(), json.dumps({"aud": AUD}).encode("utf-16")),
    "claims with a byte order mark": signed(header(), b"\xef\xbb\xbf" + b'{"aud":"x"}'),
    "claims with half a surrogate": signed(header(), b'{"aud":"test-deployment","x":"\\ud800"}'),
    "claims no UTF-8": signed(header(), b'{"aud":"test-deployment","x":"\xff"}'),
    "deep claims": signed(header(), BOMB[:45_000].replace(b"]", b"[") + b"}"),
    "deep header": f"{part(b'[' * 300)}.{BODY}.{SIGNATURE}",
    "header a list": signed(["EdDSA"]),
    "header no JSON": signed(b"EdDSA"),
    "header larger than any": signed(header(kid="k" * 1000)),
    "oversized": signed(header(), CLAIMS | {"x": "x" * 70_000}),
    "oversized rubbish": "x" * 10_000_000,
    "signature of zeros": f"{HEAD}.{BODY}.{encode(bytes(64))}",
    "signature of ones": f"{HEAD}.{BODY}.{encode(bytes([255]) * 64)}",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str) -> None:
    with pytest.raises(SignatureInvalid) as refused:
        check(ATTACKS[name])
    assert refused.value.code == "SIGNATURE_INVALID"
    assert refused.value.next_step


def test_what_was_signed_is_stated() -> None:
    assert check(GOOD) == CLAIMS
    assert check(GOOD.encode()) == CLAIMS
    assert verify(GOOD, typ=TYP, audience=AUD, key_of=keys).kid == KEY.kid


def test_a_token_of_another_library_counts_and_ours_counts_there() -> None:
    theirs = jwt.encode(CLAIMS, SEED, "EdDSA", headers={"kid": KEY.kid, "typ": TYP})
    assert check(theirs) == CLAIMS
    assert jwt.decode(GOOD, SEED.public_key(), ["EdDSA"], audience=AUD) == CLAIMS


def test_no_key_is_asked_for_that_a_header_describes() -> None:
    asked: list[str] = []

    def watched(kid: str) -> None:
        asked.append(kid)

    for token in ATTACKS.values():
        with pytest.raises(SignatureInvalid):
            check(token, key_of=watched)
    assert all(isinstance(kid, str) for kid in asked)


def test_another_scalar_of_the_same_signature_is_refused() -> None:
    """S + L verifies by the plain equation (RFC 8032, 5.1.7 demands S < L)."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = decode(SIGNATURE.encode())
    again = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(SignatureInvalid):
        check(f"{HEAD}.{BODY}.{encode(again)}")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 127))
def test_any_other_character_is_refused(at: int, other: int) -> None:
    changed = GOOD[:at] + chr(ord(GOOD[at]) ^ other) + GOOD[at + 1 :]
    with pytest.raises(SignatureInvalid):
        check(changed)


@given(st.binary(max_size=80))
def test_bytes_have_one_text_in_base64url(content: bytes) -> None:
    text = encode(content)
    assert text == base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    assert decode(text.encode()) == content


@given(st.text("AQBgZ09-_", max_size=12).map(str.encode) | st.binary(max_size=12))
def test_no_other_text_is_read_as_bytes(text: bytes) -> None:
    """Two texts of the same bytes would be two tokens with one signature."""
    try:
        content = decode(text)
    except ValueError:
        padded = text + b"=" * (-len(text) % 4)
        with suppress(ValueError):
            assert encode(base64.b64decode(padded, b"-_", validate=True)).encode() != text
    else:
        assert encode(content).encode() == text


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_rubbish_is_refused(rubbish: str | bytes) -> None:
    with pytest.raises(SignatureInvalid):
        check(rubbish)


def test_a_larger_token_counts_where_the_verifier_allows_it() -> None:
    token = signed(header(), CLAIMS | {"x": "x" * 70_000})
    assert check(token, max_bytes=200_000)["x"] == "x" * 70_000


NOW = time.time()


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iat": NOW - 10, "exp": NOW + 10}, None),
        ({"iat": NOW + 59, "exp": NOW + 100}, None),  # the signer's clock is ahead
        ({"iat": NOW - 100, "exp": NOW - 59}, None),  # or behind
        ({"iat": NOW + 61, "exp": NOW + 100}, "not valid yet"),
        ({"iat": NOW - 100, "exp": NOW - 61}, "expired"),
        ({"iat": NOW, "exp": NOW + 10, "nbf": NOW + 100}, "not valid yet"),
        ({"iat": NOW - 10, "exp": NOW + 4000}, "for longer"),
        ({"iat": NOW}, "exp is missing"),
        ({"exp": NOW}, "iat is missing"),
        ({"iat": str(NOW), "exp": NOW}, "no time"),
        ({"iat": True, "exp": NOW}, "no time"),
        ({"iat": None, "exp": NOW}, "no time"),
        ({"iat": [NOW], "exp": NOW}, "no time"),
        ({"iat": NOW, "exp": 10**400}, "no time"),
        ({"iat": NOW, "exp": float("inf")}, "no time"),
        ({"iat": NOW, "exp": float("nan")}, "no time"),
        ({"iat": -(10**60), "exp": NOW + 10}, "no time"),
    ],
)
def test_times(claims: dict[str, Any], reason: str | None) -> None:
    def run() -> None:
        check_times(claims, NOW, longest=timedelta(hours=1))

    if reason is None:
        run()
        return
    with pytest.raises(SignatureInvalid, match=reason):
        run()


def test_every_clock_is_off_in_turn() -> None:
    claims = {"iat": NOW, "exp": NOW + 60}
    good: Callable[[float], bool] = lambda now: _counts(claims, now)  # noqa: E731
    assert [off for off in range(-7200, 7200, 30) if good(NOW + off)] == list(range(-60, 120, 30))


def _counts(claims: dict[str, Any], now: float) -> bool:
    try:
        check_times(claims, now)
    except SignatureInvalid:
        return False
    return True
