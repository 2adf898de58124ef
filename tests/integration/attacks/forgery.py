"""Forgeries: ways to make a signed statement that does not count, of any type."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from signalbox.commands.proof.keys import PrivateKey, decode, encode
from signalbox.commands.proof.manifest import MANIFEST
from signalbox.commands.proof.signed_command import COMMAND
from signalbox.commands.proof.statement import sign
from signalbox.commands.proof.token import TOKEN
from signalbox.routing.registry.proof import TYP as CHANGE

TYPES = (MANIFEST, COMMAND, TOKEN, CHANGE)
DAY = 86_400


@dataclass(frozen=True)
class Forgery:
    """How a statement that its owner could make is made instead."""

    key: PrivateKey
    """The key that signs it."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """What it says instead; None: nothing."""
    typ: str | None = None
    """Its type, if that is another one."""
    change: Callable[[str], str] = str
    """What becomes of the token then."""

    def of(self, honest: str) -> str:
        """Make it of the token that the owner would have made."""
        header, claims, _ = parts_of(honest)
        stated = {n: v for n, v in (claims | dict(self.claims)).items() if v is not None}
        return self.change(sign(self.key, self.typ or header["typ"], stated))


@dataclass(frozen=True)
class Keys:
    """Keys that the attacker has, but for `owner`, whose public part and statements he knows."""

    owner: PrivateKey
    own: PrivateKey
    """Granted for another tenant."""
    stranger: PrivateKey
    """Granted nothing."""
    reader: PrivateKey
    """Granted less, for the owner's tenant."""
    revoked: PrivateKey
    expired: PrivateKey
    early: PrivateKey
    """Of the owner's grants, and not valid yet."""


class Forgeries:
    """Draws forgeries of statements that `keys.owner` could make."""

    def __init__(self, keys: Keys, randomly: random.Random) -> None:
        self.keys, self.random = keys, randomly

    def by_signature(self) -> dict[str, Callable[[], Forgery]]:
        """Of statements of any type: who signs, and how."""
        keys, owner = self.keys, self.keys.owner

        def by(key: PrivateKey) -> Callable[[], Forgery]:
            return lambda: Forgery(key)

        def changed(change: Callable[[str], str]) -> Callable[[], Forgery]:
            return lambda: Forgery(owner, change=change)

        def headed(
            header: dict[str, Any], signs: Callable[[bytes], bytes] | None
        ) -> Callable[[], Forgery]:
            return changed(lambda token: with_header(token, header, signs))

        public = keys.stranger.public.jwk()
        return {
            "key that nobody knows": by(keys.stranger),
            "revoked key": by(keys.revoked),
            "key that has expired": by(keys.expired),
            "key that is not valid yet": by(keys.early),
            "for another tenant": by(keys.own),
            "of another role": by(keys.reader),
            "other deployment": lambda: Forgery(owner, {"aud": "prod-us"}),
            "no deployment": lambda: Forgery(owner, {"aud": None}),
            "list of deployments": self.deployments,
            "of another type": self.of_another_type,
            "alg none": headed({"alg": "none"}, lambda _: b""),
            "alg none, signed": headed({"alg": "none"}, None),
            "HMAC by the public key": headed({"alg": "HS256"}, self.hmac),
            "own key in the header": headed({"jwk": public}, keys.stranger.sign),
            "address of a key": headed({"jku": "http://127.0.0.1/keys"}, keys.stranger.sign),
            "owner's kid, own signature": headed({}, keys.own.sign),
            "content changed": changed(self.changed),
            "cut": changed(self.cut),
            "bit flipped": changed(self.flipped),
        }

    def by_time(self, longest: int) -> dict[str, Callable[[], Forgery]]:
        """Of statements with `iat` and `exp`, which the owner has signed by a clock that is off."""

        def times(issued: float | None, expires: float | None) -> Callable[[], Forgery]:
            def draw() -> Forgery:
                now = int(time.time())
                at = [None if each is None else now + each for each in (issued, expires)]
                return Forgery(self.keys.owner, {"iat": at[0], "exp": at[1]})

            return draw

        return {
            "expired": times(-2 * DAY, -DAY),
            "not valid yet": times(DAY, DAY + 60),
            "valid for ever": times(0, longest + 10 * 365 * DAY),
            "valid for too long": times(0, longest + 1000),
            "without times": times(None, None),
            "without an end": times(0, None),
            "times that are none": lambda: Forgery(
                self.keys.owner, {"iat": self.random.choice([True, "0", [], 1e300])}
            ),
        }

    def deployments(self) -> Forgery:
        return Forgery(self.keys.owner, {"aud": ["prod-eu", "prod-us"]})

    def of_another_type(self) -> Forgery:
        typ = self.random.choice([*TYPES, "JWT", ""])
        return Forgery(self.keys.owner, change=lambda token: retyped(token, typ, self.keys.owner))

    def hmac(self, message: bytes) -> bytes:
        return hmac.new(self.keys.owner.public.raw, message, hashlib.sha256).digest()

    def changed(self, token: str) -> str:
        """Other claims under the signature."""
        head, _, signature = token.split(".")
        claims = parts_of(token)[1]
        name = self.random.choice(sorted(claims))
        claims[name] = claims[name] + 1 if isinstance(claims[name], int) else [claims[name]]
        return ".".join([head, encode(json.dumps(claims).encode()), signature])

    def cut(self, text: str) -> str:
        return text[: self.random.randrange(len(text))]

    def flipped(self, text: str) -> str:
        at = self.random.randrange(len(text))
        other = self.random.choice([c for c in "abcXYZ019-_." if c != text[at]])
        return text[:at] + other + text[at + 1 :]


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, claims and signature."""
    head, body, signature = (decode(part.encode()) for part in token.split("."))
    return json.loads(head), json.loads(body), signature


def with_header(token: str, header: dict[str, Any], signs: Callable[[bytes], bytes] | None) -> str:
    """The token with these members of its header, signed like that, or with its old signature."""
    old, body, signature = token.split(".")
    head = encode(json.dumps(json.loads(decode(old.encode())) | header).encode())
    if signs is not None:
        signature = encode(signs(f"{head}.{body}".encode()))
    return f"{head}.{body}.{signature}"


def retyped(token: str, typ: str, key: PrivateKey) -> str:
    """The claims as a statement of another type than they are of."""
    header, claims, _ = parts_of(token)
    return sign(key, typ if typ != header["typ"] else "another", claims)
