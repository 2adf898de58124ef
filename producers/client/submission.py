"""What a client answers when it was given a command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from signalbox.commands.error import (
    OpIdReused,
    OutcomePending,
    RateLimited,
    SignalboxError,
    StateUnavailable,
)
from signalbox.commands.ledger.entry import Acceptance, Receipt, Record
from signalbox.commands.model import Command
from signalbox.commands.ref import Ref, split_ref
from signalbox.routing.registry.permit import reserved_stream

DEFAULT_WAIT = timedelta(seconds=30)
"""For an outcome."""
MAX_SUBMIT = 500
"""Commands in one round trip to the ledger."""
SLOWEST_RETRY = 2.0
"""Seconds, at most, between two tries to reach the ledger."""


def ask_again(seconds: float) -> Retrying:
    """Calls again for so long, after growing pauses, while the state Redis is away."""
    return Retrying(
        retry=retry_if_exception_type(StateUnavailable),
        wait=wait_random_exponential(multiplier=0.1, max=SLOWEST_RETRY),
        stop=stop_after_delay(max(0.0, seconds)),
        reraise=True,
    )


@dataclass(frozen=True)
class Submission:
    """A command that the ledger holds now, or refused because its op_id is taken."""

    command: Command
    receipt: Receipt

    @property
    def op_id(self) -> str:
        return self.command.op_id

    @property
    def full(self) -> bool:
        """Refused for now: too many commands of its tenant and env are open."""
        return self.receipt.acceptance is Acceptance.FULL

    @property
    def accepted(self) -> bool:
        return self.receipt.acceptance in (Acceptance.NEW, Acceptance.HELD, Acceptance.KNOWN)

    def raise_if_refused(self) -> None:
        """OpIdReused if another command has this op_id, RateLimited if too many are open,
        ReservedStream if only Signalbox itself appends there."""
        if (error := self.refusal()) is not None:
            raise error

    def refusal(self) -> SignalboxError | None:
        """The error that `raise_if_refused` raises, if any."""
        if self.accepted:
            return None
        if self.receipt.acceptance is Acceptance.RESERVED:
            return reserved_stream(self.command)
        place = {
            "kind": self.command.kind,
            "tenant_id": self.command.tenant_id,
            "env": self.command.env,
        }
        if self.full:
            error = RateLimited(
                "too many commands of this tenant and env are open",
                next_step="submit it again later; nothing was accepted",
                **place,
            )
            error.retry_after = 1.0
            return error
        return OpIdReused(
            f"op_id {self.op_id} was accepted before with another content",
            next_step="use a new op_id for a new command; the first one stands",
            **place,
        )


def no_outcome(ref: Ref, op: str, waited: timedelta, record: Record | None) -> OutcomePending:
    """Of a command that goes on; with what the ledger says it waits for."""
    tenant_id, env, op_id = split_ref(ref)
    why = record.waits_for if record else None
    waits = f"; it waits: {why.code} {why.message}" if why else ""
    return OutcomePending(
        f"no outcome of {op} after {waited.total_seconds():g} s{waits}",
        kind=op.partition(".")[0],
        tenant_id=tenant_id,
        env=env,
        next_step=f"it goes on; ask again with: signalbox outcome {op_id} -t {tenant_id} "
        f"-e {env}; is a worker running? see: signalbox status",
    )
