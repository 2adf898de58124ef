"""Signed statements that this process has verified, and their authors' current permissions."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

from signalbox.commands.error import SignatureInvalid
from signalbox.commands.proof.keys import PublicKey
from signalbox.commands.proof.statement import Statement, verify
from signalbox.workers.execution.authors import PrincipalOf

KEPT = 1000
"""Number of statements that are remembered, so that their signatures are not verified again."""
RUNS_KEPT = 50_000
"""Number of parcels and records whose numbers, under which they ran, this process remembers."""
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
    _runs: OrderedDict[bytes, _Runs] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, token: str, typ: str, principal_of: PrincipalOf) -> Statement:
        """Return what the token states; its signature is verified once. Raises SignatureInvalid.

        `check_author` checks whether its author is still valid.
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

    def runs_as_parcel(self, token: str, group: int, name: int, indexes: Collection[int]) -> bool:
        """Note that a parcel with these of its group's commands runs under its name.

        Return whether one of them ran in this process before. Raises SignatureInvalid if that was
        under another number, since someone with access to the ledger has then put it there again.
        Only this process remembers it, and for a limited time.
        """
        with self._lock:
            runs = self._runs_of(token, group)
            apart = {i: n for i, n in runs.apart.items() if i in indexes} if runs.apart else {}
            if runs.name not in (None, name) or any(n != name + i for i, n in apart.items()):
                _put_there_again()
            again = runs.name is not None or bool(apart)
            runs.name = name
            runs.indexes = indexes if not runs.indexes else {*runs.indexes, *indexes}
            return again

    def runs_apart(self, token: str, group: int, index: int, number: int) -> bool:
        """Do the same for one command of a group, which runs as a record."""
        with self._lock:
            runs = self._runs_of(token, group)
            before = runs.apart.get(index)
            if before is None and runs.name is not None and index in runs.indexes:
                before = runs.name + index
            if before not in (None, number):
                _put_there_again()
            runs.apart[index] = number
            return before is not None

    def _runs_of(self, token: str, group: int) -> _Runs:
        key = hashlib.blake2b(f"{token} {group}".encode(), digest_size=16).digest()
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = _Runs()
            while len(self._runs) > RUNS_KEPT:
                self._runs.popitem(last=False)
        return runs


@dataclass(slots=True)
class _Runs:
    """The numbers under which the commands of one group have run in this process."""

    name: int | None = None
    """Name of the parcel in which they ran, which is the number of its first; None for none."""
    indexes: Collection[int] = ()
    """Indexes of those that ran in that parcel."""
    apart: dict[int, int] = field(default_factory=dict)
    """Number of each that ran as a record, by its index in the group."""


def _put_there_again() -> NoReturn:
    raise SignatureInvalid(
        "the signature does not count: the command was run before, under another number: it was "
        "put there again",
        next_step="find out who else can write to the ledger; to run it once more, submit it",
    )


def check_author(
    principal_of: PrincipalOf,
    statement: Statement,
    op: str,
    tenant_id: str,
    env: str,
    *,
    at: datetime,
) -> None:
    """Raise SignatureInvalid or NotGranted unless the signer may run `op` there."""
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
