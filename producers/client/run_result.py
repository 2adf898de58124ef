"""The end of a command that was run, and the errors for commands without an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from signalbox.commands.error import InvalidCommand, SignalboxError, StateUnavailable
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref, split_ref
from signalbox.producers.client.submission import Submission


@dataclass(frozen=True)
class Ran:
    """The end of one command of many: an outcome, or the error for which there is none."""

    command: Command
    """The command."""
    submission: Submission | None
    """The ledger's answer; None before it."""
    outcome: Outcome | None
    """The outcome; None if there is none."""
    error: SignalboxError | None
    """The error that `run` raises: a refusal, StateUnavailable or OutcomePending."""

    def unwrap(self) -> Outcome:
        """Return the outcome. Raises the error."""
        if self.outcome is None:
            assert self.error is not None  # noqa: S101 - one of the two is set
            raise self.error
        return self.outcome


def unknown(ref: Ref) -> InvalidCommand:
    """Return the error for a command that the ledger does not know."""
    tenant_id, env, op_id = split_ref(ref)
    return InvalidCommand(
        f"the ledger knows no command {op_id}",
        tenant_id=tenant_id,
        env=env,
        next_step="it was never accepted, or its outcome is kept no longer "
        "(SIGNALBOX_OUTCOME_RETENTION)",
    )


def not_taken(command: Command, waited: timedelta) -> StateUnavailable:
    """Return the error for a command to which the ledger did not answer."""
    return StateUnavailable(
        f"the ledger has not answered for {command.op} after {waited.total_seconds():g} s",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step="submit the same command again: under its op_id it is not taken twice; see "
        "whether the state Redis answers",
    )
