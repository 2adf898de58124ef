"""What a client answers when it was given a command."""

from __future__ import annotations

from dataclasses import dataclass

from commands.error import OpIdReused, RateLimited
from commands.ledger.entry import Acceptance, Receipt
from commands.model import Command

SUBMIT_MOST = 500
"""Commands in one round trip to the ledger."""


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
        return self.receipt.acceptance not in (Acceptance.CONFLICT, Acceptance.FULL)

    def raise_if_refused(self) -> None:
        """OpIdReused if another command has this op_id, RateLimited if too many are open."""
        if self.full:
            error = RateLimited(
                "too many commands of this tenant and env are open",
                kind=self.command.kind,
                tenant_id=self.command.tenant_id,
                env=self.command.env,
                next_step="submit it again later; nothing was accepted",
            )
            error.retry_after = 1.0
            raise error
        if not self.accepted:
            raise OpIdReused(
                f"op_id {self.op_id} was accepted before with another content",
                kind=self.command.kind,
                tenant_id=self.command.tenant_id,
                env=self.command.env,
                next_step="use a new op_id for a new command; the first one stands",
            )
