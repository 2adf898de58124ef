"""Tokens for HTTP, with which a key's owner lets others act for it, for a limited time and purpose.

A token is a compact JWS whose claims are `{"aud": …, "iat": …, "exp": …, "sub": <principal>,
"grant": {"roles": […], "tenants": […], "envs": […], "ops": […]}}`. A token adds no permissions: it
allows what its principal, the signer and the grant all allow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from signalbox.commands.error import InvalidCommand, SignatureInvalid
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.principal import Grant, check_name
from signalbox.commands.proof.statement import KeyOf, check_times, sign, verify

TOKEN = "signalbox-token"  # noqa: S105 - a media type
"""The `typ` of a token."""
LONGEST = timedelta(hours=12)
"""Maximum time between a token's `iat` and `exp`."""
MAX_BYTES = 16 * 1024
"""Maximum size of a token, in bytes."""
_CLAIMS = {"aud", "iat", "exp", "sub", "grant"}


@dataclass(frozen=True)
class Token:
    """What a verified token states."""

    kid: str
    """Id of the key that signed it."""
    principal: str
    """Name of the principal for which the token's holder acts."""
    grant: Grant
    """What the token is restricted to."""
    times: Mapping[str, Any]
    """Its `iat` and `exp`."""

    def check_times(self, now: float) -> None:
        """Raise SignatureInvalid unless the token is valid `now`, in seconds since 1970."""
        check_times(self.times, now, longest=LONGEST)


def issue(
    key: PrivateKey, audience: str, principal: str, grant: Grant, lifetime: timedelta
) -> tuple[str, float]:
    """Return a token that is valid from now on, and when it ends. Raises InvalidCommand."""
    if not timedelta(seconds=1) <= lifetime <= LONGEST:
        raise InvalidCommand(
            f"a token is valid for 1 s to {LONGEST // timedelta(hours=1)} h",
            next_step="choose a shorter time, and issue a new one when it is over",
        )
    now = int(time.time())
    ends = now + int(lifetime.total_seconds())
    granted = grant.model_dump(mode="json", include={"roles", "tenants", "envs", "ops"})
    claims = {
        "aud": audience,
        "iat": now,
        "exp": ends,
        "sub": check_name(principal),
        "grant": granted,
    }
    return sign(key, TOKEN, claims), float(ends)


def read(token: bytes, audience: str, key_of: KeyOf) -> Token:
    """Return what a token states, whose times are not checked yet. Raises SignatureInvalid."""
    stated = verify(token, typ=TOKEN, audience=audience, key_of=key_of, max_bytes=MAX_BYTES)
    claims = stated.claims
    try:
        if claims.keys() != _CLAIMS:
            raise ValueError
        grant = Grant.model_validate(claims["grant"])
        return Token(stated.kid, check_name(claims["sub"]), grant, claims)
    except (ValidationError, ValueError, TypeError, InvalidCommand):
        raise SignatureInvalid(
            "the signature does not count: its claims are not those of a token",
            next_step="make one with `signalbox token issue`",
        ) from None
