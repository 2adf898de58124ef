"""Signs changes of the registry, and verifies the state on which they are decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from signalbox.commands.error import (
    NotGranted,
    RegistryUnproven,
    RegistryUnreadable,
    SignatureMissing,
)
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.statement import sign
from signalbox.routing.policy.policy import Policy, policy_subject
from signalbox.routing.registry.author_signature import (
    AuthorSignature,
    Basis,
    ChangePrepared,
    Prepared,
)
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proof import (
    NEXT,
    NO_FENCE,
    PRINCIPAL_OP,
    TYP,
    Author,
    ExpectedRecord,
    Verifier,
    claims_of,
    digest_of,
    missing,
    revision_at,
    with_signature,
)
from signalbox.routing.registry.record_tree import (
    FIELDS,
    IN_TREE,
    TREE,
    TreePath,
    empty_path,
    tree_fields,
)
from signalbox.routing.registry.records import Head, read_events, text_of
from signalbox.routing.registry.roster import Roster
from signalbox.routing.registry.roster_reader import HEAD, READ, RosterReader
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import Route

M = TypeVar("M", bound=BaseModel)
ROUTE_KINDS = ("set", "switched")
LOCK_KINDS = ("locked", "lock_renewed")
POLICY_KINDS = ("policy_set",)


@dataclass(frozen=True)
class Believed:
    """The state on which a change is decided: the valid part of what was read."""

    route: Route | None
    lock: StrategyLock | None
    policy: Policy | None
    roster: Roster
    tree: TreePath | None = None
    """The subject's path in the tree; None without a trust file."""
    anew: bool = False
    """True if the tree has to begin anew, since the stored one is not valid."""
    head_proof: str | None = None
    """The signature of the newest event; None without a trust file, and before the first."""


class ChangeProofs:
    """Signs changes with this process' key, and verifies their state. Thread-safe."""

    def __init__(self, reader: RosterReader) -> None:
        self.reader = reader

    def calls(self, subject: str, tenant_id: str) -> list[tuple[Any, ...]]:
        """Return the calls that `believe` needs the answers of, read with the state itself."""
        about = policy_subject(tenant_id)
        return [
            ("HMGET", FENCE_KEY, subject, about),
            ("XREVRANGE", f"{TAG}:log", "+", "-", "COUNT", 1),
            HEAD,
            ("HMGET", TREE, *tree_fields(subject), *tree_fields(about)),
            *READ,
        ]

    def believe(
        self,
        subject: str,
        tenant_id: str,
        head: Head,
        stored: Sequence[bytes | None],
        answers: Sequence[Any],
        roster_anew: Roster | None = None,
        *,
        own_key: bool = True,
    ) -> Believed:
        """Return what counts of route, lock and policy, as stored, for a change of `subject`.

        What the change replaces may be unproven, and is taken as absent: so it is mended. Raises
        RegistryUnproven if anything else that the change depends on does not count. With
        `roster_anew` that is the roster. Only what is signed with our `own_key`, an
        administrator's, may begin anew.
        """
        route, lock, policy = stored
        (fence, policy_fence), newest, signed_head, nodes, *roster = answers
        trust = self.reader.trust
        verifier = (
            Verifier(trust, roster_anew) if roster_anew is not None else self.reader.take(*roster)
        )
        about, anew = policy_subject(tenant_id), False
        signer = trust.signer if own_key else None
        administrator = signer is not None and signer.kid in trust.administrators
        try:
            path = self.reader.path(verifier, signed_head, subject, nodes[:FIELDS])
            beside = self.reader.path(verifier, signed_head, about, nodes[FIELDS:])
            if not administrator:
                _check_head(head, read_events(newest), verifier)
        except RegistryUnproven:
            # A signature covers the event before it: only an administrator's can begin anew.
            if not administrator:
                raise
            path, beside, anew = empty_path(subject), empty_path(about), True
        expected = ExpectedRecord(about, POLICY_KINDS, revision_at(policy_fence), beside.digest)
        route_place = ExpectedRecord(subject, ROUTE_KINDS, revision_at(fence), path.digest)
        return Believed(
            _replaced(verifier, Route, route, route_place),
            _replaced(verifier, StrategyLock, lock, ExpectedRecord(subject, LOCK_KINDS)),
            _replaced(verifier, Policy, policy, expected)
            if subject == about
            else _policy(verifier, policy, expected),
            verifier.roster,
            path,
            anew,
            text_of(signed_head[2]) if signed_head[2] is not None else None,
        )

    def check_author(self, op: str, subject: str, roster: Roster) -> None:
        """Raise unless this process' key may sign such a change now.

        Raises SignatureMissing, SignatureInvalid and NotGranted.
        """
        self._author(roster).check(op, subject, datetime.now(UTC))

    def sign(
        self,
        event: StreamEvent,
        op: str,
        record: BaseModel | None,
        path: TreePath | None,
        *,
        roster: Roster,
        anew: bool = False,
        by_author: AuthorSignature | None = None,
        basis: Callable[[], Basis] | None = None,
    ) -> tuple[StreamEvent, dict[str, bytes]]:
        """Return the event with its proof and hash, and the fields of the tree that change.

        `record` is what is stored with it, at the end of `path` if it is a route or a policy, in a
        tree that may begin `anew`. `roster` is the one that the change is made under. What its
        author has signed is checked, see `AuthorSignature.check`; anything else is signed with our
        key. Raises ChangePrepared, with the `basis`, if the author has yet to sign it.
        """
        path = path or empty_path(event.subject)
        document = json.loads(record.model_dump_json()) if record is not None else None
        claims, changed = stated(
            event, op, document, path, self.reader.trust.audience, roster.revision, anew=anew
        )
        if by_author is None:
            proof = sign(self._signer, TYP, claims)
        elif by_author.token is None:
            assert basis is not None  # noqa: S101 - given with the author's signature
            raise ChangePrepared(
                Prepared(
                    claims=claims,
                    event=event.model_copy(update={"hash": ""}),
                    record=document,
                    basis=basis(),
                )
            )
        else:
            verifier = Verifier(self.reader.trust, roster)
            proof = by_author.check(claims, op, event.subject, verifier)
        return with_signature(event, proof), changed

    @property
    def _signer(self) -> PrivateKey:
        signer = self.reader.trust.signer
        if signer is None:
            raise SignatureMissing(
                "changes of this registry are signed, and this process has no key",
                next_step="name yours with SIGNALBOX_KEY_FILE; make one with `signalbox key new`",
            )
        return signer

    def _author(self, roster: Roster) -> Author:
        kid = self._signer.kid
        author = Verifier(self.reader.trust, roster).author(kid)
        if author is None:
            raise NotGranted(
                f"the key {kid} is of no principal and no administrator",
                next_step="ask an administrator for `signalbox principal add`",
            )
        return author


def stated(
    event: StreamEvent,
    op: str,
    record: dict[str, Any] | None,
    path: TreePath,
    audience: str,
    roster: int,
    *,
    anew: bool = False,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the signature of a change states, and the fields of the tree that change.

    `roster` is the revision of the one that the change is made under.
    """
    root, changed = path.root(), dict[str, bytes]()
    if record is not None and event.type.removeprefix(TYPE_PREFIX) in IN_TREE:
        root, changed = path.with_record(digest_of(record))
    held = event.revision if op == PRINCIPAL_OP and record is not None else roster
    return claims_of(event, op, record, root, audience, roster=held, anew=anew), changed


def _replaced(
    verifier: Verifier, model: type[M], text: bytes | None, expected: ExpectedRecord
) -> M | None:
    found = verifier.record(model, text, expected) if text is not None else None
    return None if isinstance(found, RegistryUnreadable) else found


def _policy(verifier: Verifier, text: bytes | None, expected: ExpectedRecord) -> Policy | None:
    """Return the policy on which a change depends."""
    if text is None and expected.fence_revision == NO_FENCE and expected.newest is None:
        return None
    found = (
        verifier.record(Policy, text, expected) if text is not None else missing(expected.subject)
    )
    if isinstance(found, RegistryUnreadable):
        raise found
    return found


def _check_head(head: Head, newest: Sequence[StreamEvent], verifier: Verifier) -> None:
    if head.revision == 0 and not newest:
        return
    last = newest[0] if newest else None
    if last is None or (last.revision, last.hash, last.epoch) != (
        head.revision,
        head.hash,
        head.epoch,
    ):
        raise RegistryUnproven("the registry's head is no event of its log", next_step=NEXT)
    if not verifier.proves(last):
        raise RegistryUnproven(
            f"the newest event of the log, {last.revision}, does not count",
            next_step="let an administrator make the next change, after `signalbox audit verify`",
        )
