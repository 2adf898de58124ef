"""Finds out who calls, where each call needs a principal: by tokens of ours, or of an issuer.

Whose a token is, the roster of principals says as it is when the request arrives: one look for all
requests that arrive meanwhile. A signature is verified once for each token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from signalbox.commands.error import InvalidSetting, SignatureInvalid
from signalbox.commands.proof import token as own_token
from signalbox.commands.proof.keys import PublicKey, decode
from signalbox.commands.proof.principal import Grant, Principal, Role
from signalbox.commands.proof.trust import Trust
from signalbox.gateway.error import TokenExpired, TokenInvalid
from signalbox.gateway.identity import Identity, now
from signalbox.gateway.oidc import Oidc
from signalbox.gateway.settings import GatewaySettings
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.producers.client.shared_lookup import SharedLookup
from signalbox.routing.registry.proof import Verifier
from signalbox.routing.registry.roster_reader import RosterReader

REMEMBERED = 2048
"""Number of tokens whose signatures are not verified again."""
THREADS = 2
"""Number of threads that look at the roster and read an issuer's keys."""
_EVERYTHING = Grant(roles=(Role.ADMIN,), tenants=("*",))


class Authentication:
    """Authenticates requests. To be used in one event loop. Made anew with each gateway."""

    def __init__(self, own: GatewaySettings, rosters: RosterReader) -> None:
        """Raises InvalidSetting."""
        self._trust = rosters.trust
        self._threads = ThreadPoolExecutor(THREADS, "gateway-identity")
        self._roster: SharedLookup[None, Verifier] = SharedLookup(
            lambda keys: [rosters.check()] * len(keys), self._threads, Inboxes()
        )
        self._oidc = Oidc(own, self._on_thread) if own.oidc_issuer is not None else None
        self._known: OrderedDict[bytes, Any] = OrderedDict()

    async def identify(self, token: bytes) -> Identity:
        """Return whose token it is.

        Raises TokenInvalid, TokenExpired, NotGranted, IssuerUnavailable, RegistryUnproven and
        StateUnavailable.
        """
        header = _header(token)
        digest = hashlib.sha256(token).digest()
        if self._oidc is None or header.get("typ") == own_token.TOKEN:
            return self._own(token, digest, await self._roster.ask(None))
        name, known = await self._oidc.verify(token, header, self._known.get(digest))
        self._remember(digest, known)
        verifier = await self._roster.ask(None)
        principal = verifier.roster.principals.get(name)
        return Identity(name, (_in_force(principal, name),))

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown(wait=False)

    def _own(self, token: bytes, digest: bytes, verifier: Verifier) -> Identity:
        def key_of(kid: str) -> PublicKey | None:
            author = verifier.author(kid)
            return author.key if author else None

        try:
            stated: own_token.Token | None = self._known.get(digest)
            if stated is None:
                stated = own_token.read(token, self._trust.audience, key_of)
                self._remember(digest, stated)
            stated.check_times(time.time())
        except SignatureInvalid as error:
            _refuse(error.message.partition(": ")[2] or error.message)
        signer = verifier.author(stated.kid)
        if signer is None:
            _refuse("its key is not known here")
        name = stated.principal
        if signer.principal is None:
            # An administrator may have anyone act, and themselves.
            grants = (
                _EVERYTHING
                if name == signer.name
                else _in_force(verifier.roster.principals.get(name), name),
                stated.grant,
            )
            return Identity(name, grants)
        if name != signer.name:
            _refuse(f"it is for {name}, and principal {signer.name} has signed it")
        if (reason := signer.principal.key_ended(stated.kid, now())) is not None:
            _refuse(reason)
        return Identity(name, (signer.principal, stated.grant))

    def _remember(self, digest: bytes, verified: Any) -> None:
        self._known[digest] = verified
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _on_thread(self, what: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, what)


def check_settings(own: GatewaySettings, trust: Trust | None) -> None:
    """Raise InvalidSetting unless what is set of principals and issuers goes together."""
    if own.principals == "off":
        if own.oidc_issuer is not None:
            raise InvalidSetting(
                "SIGNALBOX_GATEWAY_OIDC_ISSUER: without SIGNALBOX_GATEWAY_PRINCIPALS=required "
                "nobody is asked for a token of the issuer",
                next_step="set both",
            )
    elif trust is None:
        raise InvalidSetting(
            "SIGNALBOX_GATEWAY_PRINCIPALS=required: principals need SIGNALBOX_TRUST_FILE",
            next_step="see docs/security.md",
        )


def _in_force(principal: Principal | None, name: str) -> Principal:
    if principal is None:
        _refuse(f"there is no principal {name[:64]}")
    if (reason := principal.ended(now())) is not None:
        _refuse(reason)
    return principal


def _header(token: bytes) -> dict[str, Any]:
    """The header of a token, of which nothing is proven yet."""
    first = token.split(b".", 1)[0]
    try:
        header = json.loads(decode(first)) if len(first) <= 4096 else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        _refuse("it is neither the operator's nor a JSON Web Token")
    return header


def _refuse(reason: str) -> NoReturn:
    error = TokenExpired if reason == "it has expired" else TokenInvalid
    raise error(
        f"the token does not count: {reason}",
        next_step="get a new one: `signalbox token issue`, or from the operator's issuer",
    )
