"""Proofs: the signatures of changes, and the verification of the registry's records.

A proof covers the event, with the hash of the previous one, and the record that is stored with it.
So a record can be verified without the log, and is valid only for its subject and revision. The
author must be an administrator of the trust file, or a principal who may make such a change by the
current roster. Only an administrator can sign the roster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from signalbox.commands.error import (
    NotGranted,
    ProofError,
    RegistryUnproven,
    RegistryUnreadable,
    SignatureInvalid,
    SignatureMissing,
)
from signalbox.commands.proof import statement
from signalbox.commands.proof.keys import PrivateKey, PublicKey, each_name_once
from signalbox.commands.proof.principal import Principal
from signalbox.commands.proof.statement import canonical, sign
from signalbox.commands.proof.trust import Trust
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.registry.records import read_value, text_of
from signalbox.routing.registry.roster import PRINCIPAL_PREFIX, ROSTER, Roster
from signalbox.routing.route import revision_of

TYP = "signalbox-change"
"""The `typ` of the signature of a change."""
_UNSIGNED = ("hash", "proof")
"""Fields that a record's digest leaves out, since they are not known when it is signed."""
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""Maximum size of a stored record, in bytes; the roster is the largest."""

OPS: Mapping[str, tuple[str, ...]] = {
    "set": ("routing.set",),
    "switched": ("routing.switch",),
    "deleted": ("routing.delete",),
    "locked": ("routing.lock",),
    "lock_renewed": ("routing.lock",),
    "unlocked": ("routing.unlock",),
    "lock_forced": ("routing.unlock",),
    "policy_set": ("policy.set",),
    "rebased": ("registry.rebase",),
    "refused": (
        *("routing.set", "routing.switch", "routing.delete", "routing.lock", "routing.unlock"),
        *("policy.set", "registry.rebase", "principal.change"),
    ),
}
"""The granted operation of each kind of event; a refusal can be of any operation."""
PRINCIPAL_OP = "principal.change"
"""The operation that only administrators may do."""
ANY = "any"
"""Stands for the digest of any record."""
NO_FENCE = -2
"""Stands for the revision of a missing fence; no record has it."""
NEXT = (
    "set it again with a key that may (SIGNALBOX_KEY_FILE), and find out who else can write to the "
    "state Redis: `signalbox audit verify`"
)


M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class ExpectedRecord:
    """What a stored record must match: its subject, and what may have been signed for it."""

    subject: str
    """`subject` of the events that set it."""
    kinds: Collection[str]
    """Kinds of these events."""
    fence_revision: int | None = None
    """Revision that its fence names; None for a record without one."""
    newest: str | None = ANY
    """Digest of the subject's newest record, as the tree has it, None if it has none; `ANY` for a
    record that is not in the tree."""


@dataclass(frozen=True)
class Author:
    """Who signed something, and what that key may sign."""

    name: str
    """Name of the administrator or principal."""
    key: PublicKey
    """The key that signed."""
    principal: Principal | None
    """The principal; None for an administrator."""

    def check(self, op: str, subject: str, at: datetime) -> None:
        """Raise NotGranted or SignatureInvalid unless the author may sign this."""
        if self.principal is None:
            return
        tenant_id, env = tenant_and_env(subject)
        if op == PRINCIPAL_OP or subject.startswith(PRINCIPAL_PREFIX):
            raise NotGranted(
                f"principal {self.name} may not change principals",
                next_step="use a key of the trust file",
            )
        self.principal.check(self.key.kid, op, tenant_id, env, at=at)


@dataclass(frozen=True)
class Verifier:
    """Verifies records and events by the trust of this process and one roster."""

    trust: Trust
    roster: Roster

    def author(self, kid: str) -> Author | None:
        """Return whose key has this id, None if it is nobody's."""
        if kid in self.trust.administrators:
            name, key = self.trust.administrators[kid]
            return Author(name, key, None)
        principal = self.roster.by_kid.get(kid)
        found = principal.key(kid) if principal else None
        return Author(principal.name, found.public, principal) if principal and found else None

    def record(
        self, model: type[M], text: bytes | str, expected: ExpectedRecord, **where: str
    ) -> M | RegistryUnreadable:
        """Return the stored record, or RegistryUnproven if it is not proven there.

        RegistryUnreadable if it is, and another release has written it.
        """
        try:
            proven = self._proven(text, expected)
        except (ProofError, ValueError, RecursionError) as error:
            return unproven(model.__name__.lower(), expected.subject, error)
        found = read_value(model, proven, **where)
        if not isinstance(found, RegistryUnreadable):
            about = getattr(found, "subject", None)
            if about != expected.subject:
                other = SignatureInvalid("it is about something else")
                return unproven(model.__name__.lower(), expected.subject, other)
        return found

    def _proven(self, text: bytes | str, expected: ExpectedRecord) -> str:
        """Return the record as JSON, written from the verified document, since parsers differ."""
        if len(text) > MAX_RECORD_BYTES:
            raise ValueError("larger than any record")
        document = json.loads(text, object_pairs_hook=each_name_once)
        if not isinstance(document, dict):
            raise ValueError("it is no object")
        claims, author = self._claims(document.get("proof"))
        signed = {name: value for name, value in document.items() if name not in _UNSIGNED}
        revision = document.get("revision", claims.get("revision"))
        if claims.get("record") != digest_of(signed):
            _refuse("it is not what was signed")
        if expected.newest not in (ANY, claims["record"]):
            _refuse("it is not the newest of its subject, by the registry's newest event")
        if claims.get("kind") not in expected.kinds or claims.get("revision") != revision:
            _refuse("it was signed as something else")
        if expected.fence_revision is not None and revision != expected.fence_revision:
            _refuse("its fence names another revision")
        self._authorized(claims, author, expected)
        return json.dumps(document)

    def root(self, epoch: str, revision: int, proof: str | None) -> str:
        """Return the root of the tree over all records, as the newest event states it.

        Raises ProofError if the event was not signed by someone who may make it.
        """
        claims, author = self._claims(proof)
        self._authorized(claims, author, ExpectedRecord(str(claims.get("subject")), ()))
        root = claims.get("root")
        if (claims.get("epoch"), claims.get("revision")) != (epoch, revision):
            _refuse("the newest event is another than the one that was signed")
        if not isinstance(root, str):
            _refuse("it states no root")
        if not isinstance(claims.get("roster"), int) or claims["roster"] > self.roster.revision:
            _refuse("the list of principals is older than the one that it was made under")
        return root

    def claims_of(self, event: StreamEvent) -> dict[str, Any]:
        """Return what the signature of an event that was proven states."""
        return self._claims(event.proof)[0]

    def author_of(self, proof: str | None) -> str | None:
        """Return the name of who signed a record that was proven; None without a proof."""
        return self._claims(proof)[1].name if proof is not None else None

    def proves(self, event: StreamEvent) -> bool:
        """True if the event is proven."""
        try:
            self.event(event)
        except ProofError:
            return False
        return True

    def event(self, event: StreamEvent) -> Author:
        """Return who signed an event. Raises ProofError if it is not proven, or not its hash's."""
        claims, author = self._claims(event.proof)
        if event.hash != event.digest():
            _refuse("the event is not what its hash says")
        kind = event.type.removeprefix(TYPE_PREFIX)
        stated = (claims.get("event"), claims.get("kind"), claims.get("revision"))
        if stated != (event.content_digest(), kind, event.revision):
            _refuse("the event is not what was signed")
        if claims.get("epoch") != event.epoch:
            _refuse("it is of another epoch")
        self._authorized(claims, author, ExpectedRecord(event.subject, [kind]))
        return author

    def _claims(self, proof: Any) -> tuple[dict[str, Any], Author]:
        if proof is None:
            raise SignatureMissing("it carries no signature", next_step=NEXT)
        if not isinstance(proof, str):
            _refuse("its signature is no text")

        def key_of(kid: str) -> PublicKey | None:
            found = self.author(kid)
            return found.key if found else None

        stated = statement.verify(proof, typ=TYP, audience=self.trust.audience, key_of=key_of)
        author = self.author(stated.kid)
        assert author is not None  # noqa: S101 - its key has just verified
        return stated.claims, author

    def _authorized(
        self, claims: Mapping[str, Any], author: Author, expected: ExpectedRecord
    ) -> None:
        subject, kind, op = (claims.get(name) for name in ("subject", "kind", "op"))
        if expected.subject == ROSTER:
            right = isinstance(subject, str) and subject.startswith(PRINCIPAL_PREFIX)
        else:
            right = subject == expected.subject
        if not right or not isinstance(op, str) or op not in OPS.get(str(kind), (PRINCIPAL_OP,)):
            _refuse("it was signed for something else")
        if type(claims.get("iat")) is not int or abs(claims["iat"]) > 2**40:
            _refuse("its time is none")
        author.check(op, str(subject), datetime.fromtimestamp(claims["iat"], UTC))


def claims_of(
    event: StreamEvent,
    op: str,
    record: dict[str, Any] | None,
    root: str,
    audience: str,
    *,
    roster: int,
    anew: bool = False,
) -> dict[str, Any]:
    """Return what the signature of a change states.

    `record` is what is stored with it, if anything, and `root` that of the tree with it, which may
    begin `anew`. `roster` is the revision of the roster that holds with it.
    """
    return {
        "aud": audience,
        "iat": int(event.time.timestamp()),
        "subject": event.subject,
        "kind": event.type.removeprefix(TYPE_PREFIX),
        "op": op,
        "epoch": event.epoch,
        "revision": event.revision,
        "event": event.content_digest(),
        "record": digest_of(record) if record is not None else None,
        "root": root,
        "roster": roster,
    } | ({"anew": True} if anew else {})


def with_signature(event: StreamEvent, proof: str) -> StreamEvent:
    """Return the event with its proof and hash."""
    event = event.model_copy(update={"proof": proof, "hash": ""})
    return event.model_copy(update={"hash": event.digest()})


def signed_event(
    event: StreamEvent,
    op: str,
    record: dict[str, Any] | None,
    root: str,
    trust: Trust,
    key: PrivateKey,
    *,
    roster: int,
    anew: bool = False,
) -> StreamEvent:
    """Return the event with its proof, by this key, and hash; see `claims_of`."""
    claims = claims_of(event, op, record, root, trust.audience, roster=roster, anew=anew)
    return with_signature(event, sign(key, TYP, claims))


def digest_of(record: Mapping[str, Any]) -> str:
    """Return the digest of a stored record, as 64 hexadecimal digits."""
    signed = {name: value for name, value in record.items() if name not in _UNSIGNED}
    return hashlib.sha256(canonical(signed)).hexdigest()


def tenant_and_env(subject: str) -> tuple[str | None, str | None]:
    """Return what a change of the subject concerns; None for all tenants, or all envs."""
    kind, *rest = subject.split("/")
    if kind == "policy" and len(rest) == 1:
        return rest[0], None
    return (rest[0], rest[1]) if len(rest) == 2 else (None, None)


def revision_at(fence: bytes | str | None) -> int:
    """Return the revision that a fence names, as it was read."""
    return revision_of(text_of(fence)) if fence is not None else NO_FENCE


def missing(subject: str) -> RegistryUnproven:
    """Return the error for a record that its fence says is there."""
    return unproven("record", subject, SignatureMissing("it is missing", next_step=NEXT))


def unproven(what: str, subject: str, error: Exception) -> RegistryUnproven:
    """Return the error for a record that is not valid, with the reason."""
    tenant_id, env = tenant_and_env(subject)
    reason = error.message if isinstance(error, ProofError) else "it is malformed"
    return RegistryUnproven(
        f"the {what} of {subject} does not count: {reason}",
        tenant_id=tenant_id,
        env=env,
        next_step=NEXT,
    )


def _refuse(reason: str) -> NoReturn:
    raise SignatureInvalid(reason, next_step=NEXT)
