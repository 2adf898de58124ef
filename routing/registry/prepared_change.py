"""Checks a change that someone else has prepared, before its author signs it.

Whoever prepares a change decides what is to be signed. So the author's machine computes all of it
again, from what is proven by signatures of others, and signs nothing but the change that is shown.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from signalbox.commands.error import ProofError, RegistryUnreadable, SignatureInvalid
from signalbox.commands.proof.principal import Principal
from signalbox.commands.proof.statement import canonical
from signalbox.commands.proof.trust import Trust
from signalbox.commands.scope import Scope
from signalbox.routing.policy.policy import policy_after, policy_subject
from signalbox.routing.registry.author_signature import Basis, Prepared
from signalbox.routing.registry.change_proofs import stated
from signalbox.routing.registry.event import TYPE_PREFIX
from signalbox.routing.registry.proof import OPS, PRINCIPAL_OP, ExpectedRecord, Verifier, digest_of
from signalbox.routing.registry.record_tree import DEPTH, EMPTY_ROOT, TreePath
from signalbox.routing.registry.roster import (
    EMPTY,
    ROSTER,
    principal_subject,
    roster_after,
)
from signalbox.routing.registry.roster_reader import KINDS
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.registry.tombstone import tombstone_after
from signalbox.routing.route import route_after

_NEXT = "sign nothing of it: find out who runs the gateway, and use `signalbox` at the registry"


def check_prepared(prepared: Prepared, trust: Trust) -> None:
    """Raise SignatureInvalid unless `claims` state the `event` and nothing else.

    The registry's state in it is proven for some time; whoever appends the event checks that it is
    the current one. Raises RegistryUnproven if it is not valid.
    """
    event, basis = prepared.event, prepared.basis
    verifier = Verifier(trust, basis.roster)
    _check_roster(verifier)
    try:
        path = TreePath(event.subject, basis.digests, [bytes.fromhex(n) for n in basis.beside])
        if len(path.beside) != DEPTH or path.root() != _root(basis, verifier):
            _refuse("the tree of records is not the one of the newest event")
    except (ValueError, TypeError):
        _refuse("the tree of records is malformed")
    kind, op = event.type.removeprefix(TYPE_PREFIX), str(prepared.claims.get("op"))
    if kind == "refused" or op not in OPS.get(kind, (PRINCIPAL_OP,)):
        _refuse("the operation is another than the change")
    if event.revision != basis.revision + 1 or (basis.revision and event.epoch != basis.epoch):
        _refuse("the event does not follow the newest one")
    if event.id != f"{event.epoch}/{event.revision}":
        _refuse("the event has the name of another")
    try:
        expected = _record(prepared, kind)
        if digest_of(expected or {}) != digest_of(prepared.record or {}):
            raise ValueError
        record, audience = prepared.record, trust.audience
        claims, _ = stated(event, op, record, path, audience, basis.roster.revision)
        if (record is None) != (expected is None) or canonical(claims) != canonical(
            prepared.claims
        ):
            raise ValueError
    except (ValidationError, LookupError, TypeError, ValueError):
        _refuse("what is to be signed is another change than the one that is shown")


def _check_roster(verifier: Verifier) -> None:
    roster = verifier.roster
    if roster == EMPTY:
        return
    roster_record = ExpectedRecord(ROSTER, KINDS, roster.revision)
    found = Verifier(verifier.trust, EMPTY).record(
        type(roster), roster.model_dump_json(), roster_record
    )
    if isinstance(found, RegistryUnreadable):
        raise found
    if roster.revision < verifier.trust.floor:
        _refuse("the list of principals is older than the trust file's floor")


def _root(basis: Basis, verifier: Verifier) -> str:
    if basis.revision == 0 and basis.proof is None:
        if verifier.roster != EMPTY:
            _refuse("there are principals, and no event has set them")
        return EMPTY_ROOT
    try:
        return verifier.root(basis.epoch, basis.revision, basis.proof)
    except ProofError as error:
        _refuse(f"the newest event: {error.message}")


def _record(prepared: Prepared, kind: str) -> dict[str, Any] | None:
    """Return what has to be stored with the event. Raises ValueError if it is not of a change."""
    event = prepared.event
    made: BaseModel
    if kind in ("set", "switched"):
        made = route_after(Scope.from_field(event.subject), event)
    elif kind == "deleted":
        made = tombstone_after(event)
    elif kind == "policy_set":
        made = policy_after(event.subject.removeprefix(policy_subject("")), event)
    elif kind in ("locked", "lock_renewed"):
        made = StrategyLock.model_validate(prepared.record)
        if made.document() != event.data.after or made.scope != event.subject:
            raise ValueError("another lock")
    elif kind in ("unlocked", "lock_forced"):
        return None
    elif kind in KINDS:
        principal = Principal.model_validate(event.data.after)
        if principal_subject(principal.name) != event.subject:
            raise ValueError("another principal")
        made = roster_after(prepared.basis.roster, principal, event)
    else:
        raise ValueError("another change")
    return dict(json.loads(made.model_dump_json()))


def _refuse(reason: str) -> NoReturn:
    raise SignatureInvalid(f"this is nothing to sign: {reason}", next_step=_NEXT)
