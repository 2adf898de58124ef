"""Proof check: refuses commands that were not signed by someone with the permission.

It follows the claim and precedes everything else, so a refused command has no effect and takes no
op_id. A signature is verified once for all parcels and records of its manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

from signalbox.commands.error import ProofError, RegistryUnproven, SignalboxError
from signalbox.commands.ledger.entry import Claims, Intent, Unrunnable
from signalbox.commands.model import Command
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.settings import Settings
from signalbox.commands.wire import Fault, Message
from signalbox.routing.policy.policy import Terms
from signalbox.workers.execution.authors import AuthorsAt
from signalbox.workers.execution.command_log import log_unproven
from signalbox.workers.execution.pipeline_types import Ended
from signalbox.workers.execution.proof_judge import Judge, Refusal
from signalbox.workers.execution.signed_statements import Statements


@dataclass(frozen=True)
class ProofCheck:
    """Verifies what was claimed. Thread-safe; one per process. Methods raise StateUnavailable."""

    floor: Signatures
    """How unproven commands are treated, unless their tenant's policy is stricter."""
    statements: Statements
    """Reads and remembers signed statements."""
    settings: Settings
    """The worker's settings."""
    authors_at: AuthorsAt
    """Whose keys are valid."""
    count: Callable[[Sequence[tuple[Ref, str]]], None]
    """Counts commands that run although they are not proven: names, with the code of the error."""

    def entrance(self, message: Message) -> Message:
        """Return the message with a fault instead of each whole command that is not proven.

        These are not recorded as commands. If the valid keys are not known at the moment, commands
        are recorded, and verified when they are claimed, as all are.
        """
        if self.floor is Signatures.OFF or not message.carried:
            return message
        try:
            judge = self._judge(None)
        except RegistryUnproven:
            return message
        carried: list[Intent] = []
        unproven: list[tuple[Command, ProofError]] = []
        for intent in message.carried:
            error = judge.of_message(intent.proof, intent.command)
            if error is None:
                carried.append(intent)
            else:
                unproven.append((intent.command, error))
        if self.floor is Signatures.OBSERVE:
            log_unproven(unproven)
            return message
        faults = [Fault(c.ref, c.op, c.model_dump(mode="json"), error) for c, error in unproven]
        return replace(message, carried=carried, faults=[*message.faults, *faults])

    def check(self, claims: Claims) -> tuple[Claims, list[Ended]]:
        """Return the claims that may run, and the ends of those that are not proven.

        If the valid keys are not known at the moment, all commands wait.
        """
        if self.floor is Signatures.OFF or not (claims.claimed or claims.unrunnable):
            return claims, []
        try:
            judge = self._judge(claims.epoch)
        except RegistryUnproven as error:
            if self.floor is Signatures.OBSERVE:
                return claims, []
            ended = [Ended(item, error=copy(error)) for item in claims.claimed]
            # Whether it may take its op_id cannot be told either.
            unclear = {split_ref(item.ref)[0]: error for item in claims.unrunnable}
            unrunnable = _unrunnable(claims, lambda item: _waiting(item, unclear))
            return replace(claims, claimed=[], unrunnable=unrunnable), ended
        refusals = judge.refusals(claims, claims.claimed)
        if self.floor is Signatures.OBSERVE:
            self._observe(refusals)
            return claims, []
        refused = {id(each.item) for each in refusals}
        claimed = [
            replace(item, stale=True) if id(item) in judge.stale else item
            for item in claims.claimed
            if id(item) not in refused
        ]
        unrunnable = _unrunnable(claims, judge.unrunnable)
        return replace(claims, claimed=claimed, unrunnable=unrunnable), _ends(refusals)

    def check_policies(
        self, claims: Claims, terms: Mapping[str, Terms | SignalboxError]
    ) -> tuple[Claims, list[Ended]]:
        """Do the same for tenants whose policy is stricter than the trust file.

        `terms` are those of all tenants of the claims. Where a tenant's cannot be told, what cannot
        be run waits, since it may be one that takes no op_id; what can be run waits in any case.
        """
        if self.floor is Signatures.REQUIRED or not (claims.claimed or claims.unrunnable):
            return claims, []
        unclear: dict[str, SignalboxError] = {
            t: its for t, its in terms.items() if isinstance(its, SignalboxError)
        }
        wanted = {
            tenant: its.signatures
            for tenant, its in terms.items()
            if not isinstance(its, SignalboxError)
            and its.signatures not in (Signatures.OFF, self.floor)
        }
        if not wanted and not unclear:
            return claims, []
        items = [item for item in claims.claimed if item.command.tenant_id in wanted]
        try:
            judge = self._judge(claims.epoch)
        except RegistryUnproven as error:
            unclear |= dict.fromkeys(wanted, error)
            rest = [item for item in claims.claimed if item.command.tenant_id not in wanted]
            ended = [Ended(item, error=copy(error)) for item in items]
            unrunnable = _unrunnable(claims, lambda item: _waiting(item, unclear))
            return replace(claims, claimed=rest, unrunnable=unrunnable), ended
        required = {tenant for tenant, level in wanted.items() if level is Signatures.REQUIRED}
        refusals = judge.refusals(claims, items)
        must = [each for each in refusals if each.item.command.tenant_id in required]
        refused = {id(each.item) for each in must}
        self._observe([each for each in refusals if id(each.item) not in refused])
        claimed = [
            replace(item, stale=True)
            if id(item) in judge.stale and item.command.tenant_id in required
            else item
            for item in claims.claimed
            if id(item) not in refused
        ]
        unrunnable = _unrunnable(
            claims,
            lambda item: (
                judge.unrunnable(item)
                if split_ref(item.ref)[0] in required
                else _waiting(item, unclear)
            ),
        )
        return replace(claims, claimed=claimed, unrunnable=unrunnable), _ends(must)

    def _observe(self, refusals: Sequence[Refusal]) -> None:
        if refusals:
            log_unproven([(each.item.command, each.error) for each in refusals])
            self.count([(each.item.command.ref, each.error.code) for each in refusals])

    def _judge(self, position: str | None) -> Judge:
        return Judge(self.statements, self.settings, self.authors_at(position))


def _unrunnable(claims: Claims, change: Callable[[Unrunnable], Unrunnable]) -> list[Unrunnable]:
    # What cannot be read in a parcel takes no op_id, whoever wrote it.
    apart = {bad.ref for parcel in claims.parcels for bad in parcel.unreadable}
    return [item if item.ref in apart else change(item) for item in claims.unrunnable]


def _waiting(item: Unrunnable, unclear: Mapping[str, SignalboxError]) -> Unrunnable:
    error = unclear.get(split_ref(item.ref)[0])
    return item if error is None else replace(item, error=copy(error))


def _ends(refusals: Sequence[Refusal]) -> list[Ended]:
    # What may have run keeps its op_id.
    return [
        Ended(each.item, error=each.error, tried=each.over and each.item.takeover)
        for each in refusals
    ]
