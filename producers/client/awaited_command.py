"""A task of an event loop that waits for a command: for its acceptance, or for its end."""

from __future__ import annotations

import asyncio

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.producers.client.buffered_command import Pending
from signalbox.producers.client.loop_inbox import Inbox
from signalbox.producers.client.submission import Submission


class Told:
    """One task's wait for an outcome. Other threads tell it through the inbox of its loop; all
    else is for that loop alone."""

    def __init__(self, inbox: Inbox) -> None:
        self.outcome: Outcome | None = None
        self._inbox = inbox
        self._enough: asyncio.Future[None] = inbox.loop.create_future()

    async def known(self) -> None:
        """Wait until there is an outcome, or until `stop`."""
        await self._enough

    async def known_within(self, seconds: float) -> None:
        """The same, and `stop` after so long."""
        timer = self._inbox.loop.call_later(max(0.0, seconds), self.stop)
        try:
            await self._enough
        finally:
            timer.cancel()

    async def within(self, seconds: float) -> bool:
        """Wait so long; whether it was told, or nothing will be told any more."""
        done, _ = await asyncio.wait([self._enough], timeout=seconds)
        return bool(done)

    def stop(self) -> None:
        """Wait no longer."""
        if not self._enough.done():
            self._enough.set_result(None)

    def tell(self, outcome: Outcome | None) -> None:
        """Called by the listener's thread: its outcome, or None if none will be told any more."""
        self._inbox.post(self.end, outcome)

    def end(self, outcome: Outcome | None) -> None:
        self.outcome = self.outcome or outcome
        self.stop()


class Asked(Told):
    """A command that one task handed over, or was given the submission of.

    It is `known` when the ledger has answered; if it is asked `to_its_end`, when it has an outcome
    or was refused.
    """

    def __init__(
        self, inbox: Inbox, command: Command, *, to_its_end: bool, given: Submission | None = None
    ) -> None:
        super().__init__(inbox)
        self.command = command
        self.submission = given
        """None before the ledger has answered."""
        self.outcome = given.receipt.outcome if given else None
        self._to_its_end = to_its_end
        self._pending: Pending | None = None
        self._error: SignalboxError | None = None
        self._early: Outcome | None = None
        """Told before the ledger has answered: it may be another command's, under this op_id."""

    def end(self, outcome: Outcome | None) -> None:
        if outcome is not None and self.submission is None:
            self._early = outcome
        elif outcome is None or self.is_open:
            super().end(outcome)

    def error(self) -> SignalboxError | None:
        """What kept it from being accepted, which counts as told now."""
        error = self._error
        if error is None and self.submission is not None:
            error = self.submission.refusal()
        if error is not None and self._pending is not None:
            self._pending.told()
        return error

    def accepted(self) -> Submission:
        """What the ledger answered, a refusal too. Raises what kept it from answering."""
        error = self.error()  # a refusal counts as told as well
        if self.submission is None:
            raise error if error is not None else RuntimeError("asked before it is known")
        return self.submission

    @property
    def is_open(self) -> bool:
        """It was accepted, and has no outcome as far as is known."""
        accepted = self.submission is not None and self.submission.accepted
        return accepted and self.outcome is None

    def hand_over(self, pending: Pending) -> None:
        """The buffer has it."""
        self._pending = pending
        pending.when_settled(self._settled)

    def fail(self, error: SignalboxError) -> None:
        """It was not accepted."""
        self._error = error
        self.stop()

    def _settled(self, end: Submission | SignalboxError) -> None:
        self._inbox.post(self._take, end)

    def _take(self, submission: Submission | SignalboxError) -> None:
        if isinstance(submission, SignalboxError):
            self.fail(submission)
            return
        self.submission = submission
        # The command with its own claim check: the caller's content is held no longer.
        self.command = submission.command
        if not self._to_its_end or not submission.accepted:
            self.stop()
        elif outcome := submission.receipt.outcome or self._early:
            self.end(outcome)
