"""Statements that this process has verified, and whether their authors may make them now."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from signalbox.commands.error import SignatureInvalid
from signalbox.commands.proof.keys import PublicKey
from signalbox.commands.proof.statement import Statement, verify
from signalbox.workers.execution.authors import PrincipalOf

KEPT = 1000
"""Number of statements that are remembered: their signatures are not verified again."""
NUMBERS_KEPT = 50_000
"""Number of parcels and records of which this process remembers under which number they ran."""
MAX_KEPT_BYTES = 4096
"""Maximum size of a token that is remembered, in bytes."""


@dataclass(frozen=True)
class Statements:
    """Reads tokens. Thread-safe."""

    audience: str
    """Name of this deployment."""
    max_bytes: int
    """Maximum size of a token, in bytes."""
    _known: OrderedDict[tuple[str, str], Statement] = field(default_factory=OrderedDict)
    _numbers: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, token: str, typ: str, principal_of: PrincipalOf) -> Statement:
        """Return what the token states; its signature is verified once. Raises SignatureInvalid.

        Whether its author counts now is for `check_author` to say.
        """
        with self._lock:
            known = self._known.get((typ, token))
        if known is not None:
            return known
        found = verify(
            token,
            typ=typ,
            audience=self.audience,
            key_of=lambda kid: _key_of(principal_of, kid),
            max_bytes=self.max_bytes,
        )
        if len(token) <= MAX_KEPT_BYTES:
            with self._lock:
                self._known[typ, token] = found
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return found

    def once(self, token: str, place: str, number: int) -> bool:
        """Note under which number a part of a manifest runs; False if it was another one before.

        This process alone remembers it, and not for ever: who else ran it is not known here.
        """
        key = hashlib.blake2b(f"{token} {place}".encode(), digest_size=16).digest()
        with self._lock:
            before = self._numbers.setdefault(key, number)
            while len(self._numbers) > NUMBERS_KEPT:
                self._numbers.popitem(last=False)
        return before == number


def check_author(
    principal_of: PrincipalOf,
    statement: Statement,
    op: str,
    tenant_id: str,
    env: str,
    *,
    at: datetime,
) -> None:
    """Raise unless who signed may have `op` run there. Raises SignatureInvalid, NotGranted."""
    principal = principal_of(statement.kid)
    if principal is None:
        raise SignatureInvalid(
            "the signature does not count: its key is no longer known here",
            tenant_id=tenant_id,
            env=env,
            next_step="sign with a key of a principal (`signalbox principal list`)",
        )
    principal.check(statement.kid, op, tenant_id, env, at=at)


def _key_of(principal_of: PrincipalOf, kid: str) -> PublicKey | None:
    principal = principal_of(kid)
    key = principal.key(kid) if principal else None
    return key.public if key else None
