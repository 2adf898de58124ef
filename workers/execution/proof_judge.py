"""Judges proofs: whether commands were signed by someone with the permission to run them."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NoReturn

from signalbox.commands.error import (
    ProofError,
    SignalboxError,
    SignatureInvalid,
    SignatureMissing,
)
from signalbox.commands.ledger.entry import Claimed, Claims, Parcel, Unrunnable
from signalbox.commands.ledger.proven import Signed
from signalbox.commands.ledger.signing import longest_life
from signalbox.commands.model import Command
from signalbox.commands.proof.manifest import (
    MANIFEST,
    GroupProof,
    RowProof,
    Stated,
    read_manifest,
    read_proof,
)
from signalbox.commands.proof.signed_command import COMMAND, command_of
from signalbox.commands.proof.statement import LEEWAY, Statement, check_times
from signalbox.commands.ref import Ref, make_ref, split_ref
from signalbox.commands.settings import Settings
from signalbox.workers.execution.authors import PrincipalOf
from signalbox.workers.execution.signed_statements import Statements, check_author

_NEXT = (
    "submit it again, under the same op_id, by a client with a key (SIGNALBOX_KEY_FILE), or as a "
    "signed command (docs/wire-contract.md), over HTTP to POST /v1/commands of a gateway with a "
    "trust file"
)


@dataclass(frozen=True)
class Refusal:
    """Why a command is not run."""

    item: Claimed
    error: ProofError
    over: bool = False
    """True if the author has the permission, but the signature has expired."""


@dataclass(frozen=True)
class Judge:
    """Judges whether commands are proven."""

    statements: Statements
    """Reads and remembers signed statements."""
    settings: Settings
    """The worker's settings."""
    principal_of: PrincipalOf
    """Whose keys are valid."""
    stale: set[int] = field(default_factory=set)
    """Ids of judged claims before which newer commands may have run, since they are late or have
    run in this process before."""
    _granted: set[tuple[str, str, str, str]] = field(default_factory=set)
    """Key, op, tenant and env of what was found to be granted, for this one claim."""

    def refusals(self, claims: Claims, items: Sequence[Claimed]) -> list[Refusal]:
        """Return the refusals of those of the claims that are not proven."""
        parcels = {
            id(row.command): parcel for parcel in claims.parcels for row in parcel.rows.values()
        }
        known: dict[int, _ParcelProof | ProofError] = {}
        found: list[Refusal] = []
        for item in items:
            command = item.command
            parcel = parcels.get(id(command))
            try:
                if parcel is None:
                    over = self._record(item)
                else:
                    if id(parcel) not in known:
                        known[id(parcel)] = self._parcel(parcel)
                    proof = known[id(parcel)]
                    if isinstance(proof, ProofError):
                        raise copy(proof)  # each command has an error of its own
                    alike = command.tenant_id, command.env, command.op
                    if alike in proof.proven:
                        continue
                    over = self._row(command, proof)
                    if over is None and self._runs(proof):
                        self.stale.add(id(item))
                    elif over is None and proof.parcel.checked:
                        proof.proven.add(alike)
            except ProofError as error:
                found.append(Refusal(item, _at(error, item.command)))
            else:
                if over is not None:
                    found.append(Refusal(item, _at(over, item.command), over=True))
        return found

    def _parcel(self, parcel: Parcel) -> _ParcelProof | ProofError:
        """Return the parcel's proof, whatever it contains, or why there is none."""
        try:
            proof = _read(parcel.proof)
            if not isinstance(proof, GroupProof):
                _invalid("its proof is not one of a parcel")
            statement = self._read(proof.token, MANIFEST)
            stated = read_manifest(statement)
            proof.check(stated.root, stated.groups, parcel.content)
            _check_number(statement, parcel.name, stated.accept_until)
        except ProofError as error:
            return error
        return _ParcelProof(parcel, statement, proof, _is_late(stated))

    def _runs(self, proof: _ParcelProof) -> bool:
        """Note that the parcel runs; return whether newer commands may have run before its own.

        Only for one with a command that may run: what is refused may be submitted again within the
        second, which signs the same. Raises SignatureInvalid if it ran under another number.
        """
        if proof.runs is None:
            parcel, own = proof.parcel, proof.proof
            held = _indexes([row.position for row in parcel.rows.values()])
            try:
                again = self.statements.runs_as_parcel(own.token, own.group, parcel.name, held)
                proof.runs = again or proof.late
            except ProofError as error:
                proof.runs = error
        if isinstance(proof.runs, ProofError):
            raise copy(proof.runs)
        return proof.runs

    def _row(self, command: Command, proof: _ParcelProof) -> ProofError | None:
        if not proof.parcel.checked:
            _check_form(command)
        # Of one tenant, env and op all are alike.
        alike = command.tenant_id, command.env, command.op
        if alike not in proof.found:
            parcel = proof.parcel
            if f"{alike[0]}/{alike[1]}" != parcel.tenant_env or command.kind != parcel.kind:
                _invalid("it stands in a parcel of another tenant, env or kind")
            proof.found[alike] = self._author(proof.statement, command)
        over = proof.found[alike]
        return None if over is None else copy(over)

    def _read(self, token: str, typ: str) -> Statement:
        return self.statements.read(token, typ, self.principal_of)

    def _record(self, item: Claimed) -> ProofError | None:
        if item.signed is None:
            _missing()
        proof = _read(item.signed.proof)
        if isinstance(proof, str):
            statement, over = self.whole(proof, item.command)
            _check_number(statement, item.seq, statement.claims["exp"])
            self._apart(item, proof, 0, 0)
            return over
        row, statement, stated = self._proven(proof, item.signed)
        over = self._author(statement, item.command)
        _check_number(statement, item.seq, stated.accept_until)
        self._apart(item, row.token, row.group, row.index)
        if _is_late(stated):
            self.stale.add(id(item))
        return over

    def _apart(self, item: Claimed, token: str, group: int, index: int) -> None:
        if self.statements.runs_apart(token, group, index, item.seq):
            self.stale.add(id(item))

    def _proven(
        self, proof: GroupProof | RowProof, signed: Signed
    ) -> tuple[RowProof, Statement, Stated]:
        if not isinstance(proof, RowProof):
            _invalid("its proof is one of a parcel")
        statement = self._read(proof.token, MANIFEST)
        stated = read_manifest(statement)
        proof.check(stated.root, stated.groups, signed.text)
        return proof, statement, stated

    def of_message(self, token: str, command: Command) -> ProofError | None:
        """Return why a command that came in a message is not proven, None if it is."""
        try:
            _, over = self.whole(token, command)
        except ProofError as error:
            over = error
        return over and _at(over, command)

    def whole(self, token: str, command: Command) -> tuple[Statement, ProofError | None]:
        """Check a command that was signed as a whole; the error says that it is too late."""
        if not token:
            _missing()
        statement = self._read(token, COMMAND)
        try:
            same = command_of(statement.claims) == command
        except SignalboxError:
            same = False
        if not same:
            _invalid("the command is not the one that was signed")
        return statement, self._author(statement, command)

    def _author(self, statement: Statement, command: Command) -> ProofError | None:
        """Raise unless the signer may run the command; return an error if it is too late."""
        now = time.time()
        about = statement.kid, command.op, command.tenant_id, command.env
        if about not in self._granted:
            at = datetime.fromtimestamp(now, UTC)
            check_author(self.principal_of, statement, *about[1:], at=at)
            self._granted.add(about)
        kept = self.settings.outcome_retention if command.writes else self.settings.read_retention
        claims = statement.claims
        # At the time of its signature: what comes too late is told apart.
        check_times(claims, min(now, _number(claims, "iat")), longest=longest_life(kept))
        try:
            check_times(claims, now)
        except SignatureInvalid as error:
            return error
        return None

    def unrunnable(self, item: Unrunnable) -> Unrunnable:
        """Return it with an error by which it takes no op_id, unless its text is proven."""
        tenant_id, env, _ = split_ref(item.ref)
        try:
            if item.signed is None:
                _missing()
            proof = _read(item.signed.proof)
            if isinstance(proof, str):
                statement = self._read(proof, COMMAND)
                if command_of(statement.claims).ref != item.ref:
                    _invalid("the command is not the one that was signed")
            else:
                _, statement, _ = self._proven(proof, item.signed)
                _check_name(item.signed.text, item.ref)
            now = datetime.now(UTC)
            check_author(self.principal_of, statement, item.op, tenant_id, env, at=now)
        except ProofError as error:
            return replace(item, error=error.at(tenant_id=tenant_id, env=env))
        except SignalboxError:
            pass  # it is signed by who may, and this release cannot read it
        return item


@dataclass
class _ParcelProof:
    """A parcel whose content was signed."""

    parcel: Parcel
    statement: Statement
    proof: GroupProof
    late: bool
    """True if the ledger can accept nothing of it any more."""
    runs: bool | ProofError | None = None
    """True if newer commands may have run before those of the parcel, or why it must not run; None
    if nobody has asked."""
    found: dict[tuple[str, str, str], ProofError | None] = field(default_factory=dict)
    """Result of the check of its author, by tenant, env and op."""
    proven: set[tuple[str, str, str]] = field(default_factory=set)
    """Tenant, env and op of which nothing is left to be checked of a command."""


def _indexes(positions: list[int]) -> Collection[int]:
    """Return them in a form that is small where they are all of a parcel's, as ordinarily."""
    whole = range(len(positions))
    return whole if positions == [*whole] else frozenset(positions)


def _at(error: ProofError, command: Command) -> ProofError:
    error.at(kind=command.kind, tenant_id=command.tenant_id, env=command.env)
    return error


def _read(proof: str) -> GroupProof | RowProof | str:
    if not proof:
        _missing()
    return read_proof(proof)


def _check_form(command: Command) -> None:
    """Raise unless the command is valid.

    Commands in a parcel are not validated when they are read, and an author can seal invalid ones.
    """
    try:
        same = type(command).model_validate_json(command.model_dump_json()) == command
    except (ValueError, SignalboxError):
        same = False
    if not same:
        _invalid("what was signed is no command")


def _check_name(text: bytes, ref: Ref) -> None:
    """Raise if a record that cannot be run has another name than its JSON says."""
    try:
        document = json.loads(text)
        own = make_ref(document["tenant_id"], document["env"], document["op_id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    if own != ref:
        _invalid("it stands under the name of another command")


def _is_late(stated: Stated) -> bool:
    """Return whether the ledger can no longer accept it; it may have run without a trace there."""
    return time.time() > stated.accept_until + LEEWAY.total_seconds()


def _check_number(statement: Statement, number: int, latest: float) -> None:
    """Raise unless a number in the ledger is from a time at which the command could be accepted."""
    leeway = LEEWAY.total_seconds()
    if not _number(statement.claims, "iat") - leeway <= number / 1e6 <= latest + leeway:
        _invalid(
            "its number is of a time at which it could not be accepted: it was put there again, or "
            "the clocks of signer and state server differ"
        )


def _number(claims: dict[str, object], name: str) -> float:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _missing() -> NoReturn:
    raise SignatureMissing("it is not signed, and must be here", next_step=_NEXT)


def _invalid(reason: str) -> NoReturn:
    raise SignatureInvalid(f"the signature does not count: {reason}", next_step=_NEXT)
