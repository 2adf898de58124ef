"""The result of submitting a command: accepted by the ledger, or refused."""

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
"""Default timeout of a wait for an outcome."""
MAX_SUBMIT = 500
"""Maximum number of commands in one round trip to the ledger."""
SLOWEST_RETRY = 2.0
"""Maximum seconds between two attempts to reach the ledger."""


def ask_again(seconds: float) -> Retrying:
    """Return a caller that retries for `seconds`, with growing pauses, on StateUnavailable."""
    return Retrying(
        retry=retry_if_exception_type(StateUnavailable),
        wait=wait_random_exponential(multiplier=0.1, max=SLOWEST_RETRY),
        stop=stop_after_delay(max(0.0, seconds)),
        reraise=True,
    )


@dataclass(frozen=True)
class Submission:
    """A command that the ledger has accepted or refused."""

    command: Command
    """The command, with its own name of staged content if it was accepted."""
    receipt: Receipt
    """The ledger's answer."""

    @property
    def op_id(self) -> str:
        """The command's op_id."""
        return self.command.op_id

    @property
    def full(self) -> bool:
        """True if it was refused because too many commands of its tenant and env are open."""
        return self.receipt.acceptance is Acceptance.FULL

    @property
    def accepted(self) -> bool:
        """True if the ledger has the command."""
        return self.receipt.acceptance in (Acceptance.NEW, Acceptance.HELD, Acceptance.KNOWN)

    def raise_if_refused(self) -> None:
        """Raise the refusal, if any.

        Raises OpIdReused if another command has this op_id, RateLimited if too many are open, and
        ReservedStream if only Signalbox itself may append there.
        """
        if (error := self.refusal()) is not None:
            raise error

    def refusal(self) -> SignalboxError | None:
        """Return the error that `raise_if_refused` raises; None if it was accepted."""
        if self.accepted:
            return None
        if self.receipt.acceptance is Acceptance.RESERVED:
            return reserved_stream(self.command)
        scope = {
            "kind": self.command.kind,
            "tenant_id": self.command.tenant_id,
            "env": self.command.env,
        }
        if self.full:
            error = RateLimited(
                "too many commands of this tenant and env are open",
                next_step="submit it again later; nothing was accepted",
                **scope,
            )
            error.retry_after = 1.0
            return error
        return OpIdReused(
            f"op_id {self.op_id} was accepted before with another content",
            next_step="use a new op_id for a new command; the first one stands",
            **scope,
        )


def no_outcome(ref: Ref, op: str, waited: timedelta, record: Record | None) -> OutcomePending:
    """Return the error for a command without an outcome yet, with what it waits for."""
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
