"""Tokens of an OpenID Connect provider: which principal a caller is, by a claim of theirs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from signalbox.commands.error import InvalidSetting, NotGranted
from signalbox.gateway.error import TokenExpired, TokenInvalid
from signalbox.gateway.oidc_keys import ALGORITHMS, Fetch, Keys, OidcKeys
from signalbox.gateway.settings import GatewaySettings

LEEWAY = timedelta(seconds=60)
"""By how much the clocks of provider and gateway may differ."""
_TYPES = (None, "JWT", "jwt", "at+jwt", "application/at+jwt")
_REQUIRED = ["iss", "aud", "exp", "iat"]


@dataclass(frozen=True)
class _Known:
    """What was verified of a token."""

    keys: Keys
    claims: Mapping[str, Any]


class Oidc:
    """Verifies tokens of one provider. To be used in one event loop."""

    def __init__(self, own: GatewaySettings, fetch: Fetch) -> None:
        """Raises InvalidSetting."""
        if own.oidc_issuer is None or not own.oidc_audience:
            raise InvalidSetting(
                "SIGNALBOX_GATEWAY_OIDC_AUDIENCE: tokens of an issuer are for an audience, and one "
                "that is for another service must not count here",
                next_step="set both it and SIGNALBOX_GATEWAY_OIDC_ISSUER, or neither",
            )
        self._audience = own.oidc_audience
        self._claim = own.oidc_claim
        self._names = own.oidc_principals
        self._keys = OidcKeys(own.oidc_issuer, own.oidc_refresh, fetch)

    async def verify(
        self, token: bytes, header: Mapping[str, Any], known: _Known | None
    ) -> tuple[str, _Known]:
        """Return the name of the principal that a token is for, and what was verified of it.

        `header` is the token's, `known` what was returned for the same token before. Raises
        TokenInvalid, TokenExpired, NotGranted and IssuerUnavailable.
        """
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS or header.get("typ") not in _TYPES or "crit" in header:
            _refuse(f"its algorithm or type is none of {', '.join(ALGORITHMS)} and JWT")
        if not isinstance(kid, str):
            _refuse("it names no key")
        key, keys = await self._keys.find(kid)
        if key is None:
            _refuse("its key is not the issuer's")
        if known is None or known.keys is not keys:
            if key.algorithm_name != algorithm:
                _refuse("its algorithm is not that of its key")
            known = _Known(keys, self._claims(token, key))
        _check_times(known.claims)
        return self._principal(known.claims), known

    def _claims(self, token: bytes, key: Any) -> dict[str, Any]:
        import jwt

        try:
            # Times are compared at each request, and not only when its signature is verified.
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._keys.issuer,
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidAudienceError:
            _refuse("it is for another audience")
        except jwt.InvalidIssuerError:
            _refuse("it is of another issuer")
        except jwt.MissingRequiredClaimError as error:
            _refuse(f"it has no claim {error.claim}")
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            _refuse("it is not what the key has signed")
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> str:
        said = claims.get(self._claim)
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        values = [value for value in values if isinstance(value, str)]
        names = self._names
        found = {names[value] for value in values if value in names} if names else set(values)
        if len(found) == 1:
            return found.pop()
        raise NotGranted(
            f"the claim {self._claim} of the token names "
            + ("no principal" if not found else "more than one principal"),
            next_step="have the operator map it in SIGNALBOX_GATEWAY_OIDC_PRINCIPALS",
        )


def _check_times(claims: Mapping[str, Any]) -> None:
    now, leeway = time.time(), LEEWAY.total_seconds()
    times = [claims.get(name, 0) for name in ("exp", "iat", "nbf")]
    if not all(isinstance(t, int | float) and not isinstance(t, bool) for t in times):
        _refuse("its times are none")
    expires, *begins = times
    if not now < expires + leeway:
        raise TokenExpired("the token has expired", next_step="ask the issuer for a new one")
    if not all(begin <= now + leeway for begin in begins):
        _refuse("it is not valid yet; compare the clocks of issuer and gateway")


def _refuse(reason: str) -> NoReturn:
    raise TokenInvalid(
        f"the token does not count: {reason}",
        next_step="send one of the issuer for this gateway's audience",
    )
