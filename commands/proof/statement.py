"""Statements: claims that a key has signed, as a compact JWS (RFC 7515), checked without leniency.

The algorithm is EdDSA with Ed25519, whatever a header says. A verifier looks the key up in its own
list and refuses a header with any member but `alg`, `kid` and `typ`, so a token can neither choose
another algorithm nor bring a key or the address of one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NoReturn

from signalbox.commands.error import SignatureInvalid
from signalbox.commands.proof.keys import PrivateKey, PublicKey, decode, each_name_once, encode

MAX_BYTES = 64 * 1024
"""Maximum size of a token, unless the verifier says otherwise, in bytes."""
MAX_HEADER_BYTES = 512
"""Maximum size of an encoded header, in bytes."""
LEEWAY = timedelta(seconds=60)
"""By how much the clocks of signer and verifier may differ."""
KeyOf = Callable[[str], PublicKey | None]
"""Returns the key with an id, None if the verifier knows none."""


@dataclass(frozen=True)
class Statement:
    """The content of a token whose signature, type and audience were verified."""

    kid: str
    """Id of the key that signed."""
    claims: dict[str, Any]
    """What it signed; its times were not compared with a clock yet, see `check_times`."""


def sign(key: PrivateKey, typ: str, claims: Mapping[str, Any]) -> str:
    """Return the claims as a compact JWS of type `typ`; `aud` must be among them."""
    message = f"{_header(key.kid, typ)}.{encode(_dump(claims))}"
    return f"{message}.{encode(key.sign(message.encode()))}"


@lru_cache(maxsize=64)
def _header(kid: str, typ: str) -> str:
    return encode(_dump({"alg": "EdDSA", "kid": kid, "typ": typ}))


def verify(
    token: str | bytes, *, typ: str, audience: str, key_of: KeyOf, max_bytes: int = MAX_BYTES
) -> Statement:
    """Return what the token states. Raises SignatureInvalid, whatever the token is.

    Before the signature is verified, nothing but the token's header is parsed. There is only one
    valid token for the same claims and key.
    """
    try:
        content = token.encode("ascii") if isinstance(token, str) else bytes(token)
    except UnicodeEncodeError:
        _refuse("it is no token")
    if len(content) > max_bytes:
        _refuse(f"it is larger than {max_bytes} bytes")
    parts = content.split(b".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_BYTES:
        _refuse("it does not have the three parts of a token")
    try:
        kid, signature = _read_header(parts[0], typ), decode(parts[2])
    except (ValueError, RecursionError):
        _refuse("its header or signature is malformed")
    key = key_of(kid) if isinstance(kid, str) else None
    if key is None or len(signature) != 64:
        _refuse("its key is not known here")
    if not key.verifies(signature, content[: -len(parts[2]) - 1]):
        _refuse("it is not what the key has signed")
    try:
        claims = _load(decode(parts[1]))
    except (ValueError, RecursionError):
        _refuse("its claims are malformed")
    if claims.get("aud") != audience:
        _refuse("it is for another deployment")
    return Statement(key.kid, claims)


def check_times(
    claims: Mapping[str, Any],
    now: float,
    *,
    leeway: timedelta = LEEWAY,
    longest: timedelta | None = None,
) -> None:
    """Raise SignatureInvalid unless `now`, in seconds since 1970, is between `iat` and `exp`.

    `longest` is the longest time that may lie between the two. `nbf` is respected if it is there.
    """
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    begins = max(issued, _seconds(claims, "nbf")) if "nbf" in claims else issued
    if begins > now + leeway.total_seconds():
        _refuse("it is not valid yet; compare the clocks of signer and verifier")
    if expires + leeway.total_seconds() <= now:
        _refuse("it has expired")
    if longest is not None and expires - issued > longest.total_seconds():
        _refuse(f"it is valid for longer than {longest}")


def canonical(document: Any) -> bytes:
    """Return the canonical JSON text of a document, over which digests are computed."""
    return _SORTED.encode(document).encode()


def _encoder(*, sort_keys: bool) -> json.JSONEncoder:
    return json.JSONEncoder(
        sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


# Made once: json.dumps and json.loads make theirs for each call.
_AS_IT_IS, _SORTED = _encoder(sort_keys=False), _encoder(sort_keys=True)


def _dump(document: Any) -> bytes:
    return _AS_IT_IS.encode(document).encode()


def _load(text: bytes) -> dict[str, Any]:
    # Decoded here, since json.loads would take UTF-16 and UTF-32 too, and a mark before the text.
    document = _DECODER.decode(text.decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("not an object")
    if b"\\" in text and b"\\ud" in text.lower():
        _dump(document)  # UnicodeEncodeError for half of a pair, which nothing could store
    return document


def _none(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("no number holds this")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=each_name_once, parse_float=_finite, parse_constant=_none
)


@lru_cache(maxsize=256)
def _read_header(part: bytes, typ: str) -> Any:
    """Return the `kid` of an encoded header; all tokens of one type that a key signs have the same.

    Raises SignatureInvalid and ValueError, which are not remembered.
    """
    header = _load(decode(part))
    if header.keys() != {"alg", "kid", "typ"}:
        _refuse("its header has other members than alg, kid and typ")
    if header["alg"] != "EdDSA":
        _refuse("its algorithm is not EdDSA")
    if header["typ"] != typ:
        _refuse(f"it is not of the type {typ}")
    return header["kid"]


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if type(value) is int and 0 <= value <= 2**53:
        return value  # ordinarily
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"its {name} is missing, or no time")
    if not abs(value) <= 2**53:  # as NaN is not
        _refuse(f"its {name} is no time")
    return float(value)


def _refuse(reason: str) -> NoReturn:
    raise SignatureInvalid(
        f"the signature does not count: {reason}",
        next_step="sign with a key of the principal (`signalbox principal show`), for this "
        "deployment's SIGNALBOX_AUDIENCE, by a clock that is right",
    )
