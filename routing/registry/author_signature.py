"""Changes that their author signs on another machine, with a key that this process never has.

Such a change takes two steps. The first request, without a signature, is decided and answered with
what has to be signed (`ChangePrepared`). The second, with the signature, is decided again, and made
if that is exactly what was signed. Nothing is stored between the two.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from signalbox.commands.error import Conflict, SignatureInvalid
from signalbox.commands.proof.keys import PublicKey, decode
from signalbox.commands.proof.statement import canonical, verify
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.proof import TYP, Verifier
from signalbox.routing.registry.roster import Roster

LONGEST = timedelta(minutes=10)
"""Maximum time between the two steps."""
_EPOCH = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_AGAIN = "prepare the change again, look at it, and sign that"


@dataclass(frozen=True)
class AuthorSignature:
    """The signature of a change by its author, which this process only checks."""

    at: datetime
    """When the change was prepared, in whole seconds: the time of its event."""
    token: str | None = None
    """The signature; None to prepare the change."""
    epoch: str | None = None
    """The epoch in its claims; the first change of a registry begins one."""

    @classmethod
    def wanted(cls) -> AuthorSignature:
        """Return the signature with which a change is prepared now."""
        return cls(datetime.now(UTC).replace(microsecond=0))

    @classmethod
    def read(cls, token: str) -> AuthorSignature:
        """Return a signature as it was sent, not verified yet. Raises SignatureInvalid."""
        try:
            claims = json.loads(decode(token.split(".")[1].encode("ascii")))
            at, epoch = claims["iat"], claims["epoch"]
            if type(at) is not int or not _EPOCH.fullmatch(epoch):
                raise ValueError
            its = cls(datetime.fromtimestamp(at, UTC), token, epoch)
        except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
            raise SignatureInvalid(
                "the signature does not count: it is not one of a change", next_step=_AGAIN
            ) from None
        if abs(datetime.now(UTC) - its.at) > LONGEST:
            raise SignatureInvalid(
                f"the signature does not count: the change was not prepared within the last "
                f"{LONGEST // timedelta(minutes=1)} minutes",
                next_step=_AGAIN,
            )
        return its

    def check(self, claims: dict[str, Any], op: str, subject: str, verifier: Verifier) -> str:
        """Return the signature if it has exactly these claims, and its author may make the change.

        Raises SignatureInvalid, NotGranted, and Conflict if something else was signed.
        """
        assert self.token is not None  # noqa: S101 - a change that is prepared ends before

        def key_of(kid: str) -> PublicKey | None:
            found = verifier.author(kid)
            return found.key if found else None

        audience = verifier.trust.audience
        stated = verify(self.token, typ=TYP, audience=audience, key_of=key_of)
        author = verifier.author(stated.kid)
        assert author is not None  # noqa: S101 - its key has just verified
        author.check(op, subject, datetime.now(UTC))
        if canonical(stated.claims) != canonical(claims):
            raise Conflict(
                "what was signed is another change than this one would be now: the request is "
                "another, or the registry has changed since",
                next_step=_AGAIN,
            )
        return self.token


@dataclass(frozen=True)
class Basis:
    """The state on which a change is decided, with the signatures that prove it."""

    epoch: str
    """Epoch of the newest event."""
    revision: int
    """Its revision; 0 before the first."""
    proof: str | None
    """Its signature; None before the first."""
    roster: Roster
    """All principals, as an administrator has signed them."""
    digests: dict[str, str]
    """The leaf of the subject in the tree of records."""
    beside: list[str]
    """The nodes beside the path from there to the root."""


class Prepared(BaseModel):
    """A change that waits for its author's signature, as data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: dict[str, Any]
    """What is to be signed: the payload of the JWS."""
    event: StreamEvent
    """The event that will be appended to the log, without its proof and hash."""
    record: dict[str, Any] | None
    """What will be stored with it."""
    basis: Basis
    """The state on which it was decided."""


class ChangePrepared(Exception):
    """Not a failure: the change is decided but not made yet, since its author has to sign it."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__(f"{prepared.event.type} of {prepared.event.subject}")
        self.prepared = prepared
