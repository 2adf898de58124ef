"""An asyncio task's wait for a command: until it is accepted, or until its end."""

from __future__ import annotations

import asyncio

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.producers.client.buffered_command import Pending
from signalbox.producers.client.loop_inbox import Inbox
from signalbox.producers.client.submission import Submission


class AwaitedOutcome:
    """One task's wait for an outcome.

    Other threads report it through the inbox of the task's loop; everything else is for that loop
    alone.
    """

    def __init__(self, inbox: Inbox) -> None:
        self.outcome: Outcome | None = None
        self._inbox = inbox
        self._enough: asyncio.Future[None] = inbox.loop.create_future()

    async def known(self) -> None:
        """Wait until there is an outcome, or until `stop`."""
        await self._enough

    async def known_within(self, seconds: float) -> None:
        """Wait until there is an outcome, until `stop`, or for so many seconds."""
        timer = self._inbox.loop.call_later(max(0.0, seconds), self.stop)
        try:
            await self._enough
        finally:
            timer.cancel()

    async def within(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether the wait is over."""
        done, _ = await asyncio.wait([self._enough], timeout=seconds)
        return bool(done)

    def stop(self) -> None:
        """End the wait."""
        if not self._enough.done():
            self._enough.set_result(None)

    def tell(self, outcome: Outcome | None) -> None:
        """Report the outcome, from any thread; None if none will be reported any more."""
        self._inbox.post(self.end, outcome)

    def end(self, outcome: Outcome | None) -> None:
        """Record the outcome and end the wait."""
        self.outcome = self.outcome or outcome
        self.stop()


class AwaitedCommand(AwaitedOutcome):
    """A command that one task submitted, or of which it was given the submission.

    It is `known` when the ledger has answered; with `to_its_end`, when it has an outcome or was
    refused.
    """

    def __init__(
        self, inbox: Inbox, command: Command, *, to_its_end: bool, given: Submission | None = None
    ) -> None:
        super().__init__(inbox)
        self.command = command
        self.submission = given
        """The ledger's answer; None before it."""
        self.outcome = given.receipt.outcome if given else None
        self._to_its_end = to_its_end
        self._pending: Pending | None = None
        self._error: SignalboxError | None = None
        self._early: Outcome | None = None
        """Outcome that was announced before the ledger's answer: it may be that of another command
        with this op_id."""

    def end(self, outcome: Outcome | None) -> None:
        if outcome is not None and self.submission is None:
            self._early = outcome
        elif outcome is None or self.is_open:
            super().end(outcome)

    def error(self) -> SignalboxError | None:
        """Return why the command was not accepted, None if it was. Its caller then knows."""
        error = self._error
        if error is None and self.submission is not None:
            error = self.submission.refusal()
        if error is not None and self._pending is not None:
            self._pending.mark_reported()
        return error

    def accepted(self) -> Submission:
        """Return the ledger's answer, which may be a refusal.

        Raises the error if there was no answer.
        """
        error = self.error()  # The caller then knows of a refusal too.
        if self.submission is None:
            raise error if error is not None else RuntimeError("the command is not known yet")
        return self.submission

    @property
    def is_open(self) -> bool:
        """True if it was accepted and no outcome is known."""
        accepted = self.submission is not None and self.submission.accepted
        return accepted and self.outcome is None

    def hand_over(self, pending: Pending) -> None:
        """Record that the buffer has the command."""
        self._pending = pending
        pending.when_settled(self._settled)

    def fail(self, error: SignalboxError) -> None:
        """Record that it was not accepted."""
        self._error = error
        self.stop()

    def _settled(self, end: Submission | SignalboxError) -> None:
        self._inbox.post(self._take, end)

    def _take(self, submission: Submission | SignalboxError) -> None:
        if isinstance(submission, SignalboxError):
            self.fail(submission)
            return
        self.submission = submission
        # This command names the staged content by itself, so the caller's payload is released.
        self.command = submission.command
        if not self._to_its_end or not submission.accepted:
            self.stop()
        elif outcome := submission.receipt.outcome or self._early:
            self.end(outcome)
