"""A command in a buffer, and what becomes of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent import futures
from datetime import timedelta
from typing import Protocol

from commands.error import OutcomePending, SignalboxError
from commands.model import Command
from commands.outcome import Outcome
from producers.submission import Submission

_NUMBERS = itertools.count()


class Submitter(Protocol):
    """The client's part in a buffer."""

    def submit_many(self, commands: list[Command]) -> list[Submission]: ...

    def outcome(self, submission: Submission, timeout: timedelta) -> Outcome: ...


class Pending:
    """A command in a buffer, and what becomes of it. Thread-safe."""

    def __init__(
        self, command: Command, submitter: Submitter, told: Callable[[Pending], None]
    ) -> None:
        """`told` is called when someone was told that it was not accepted."""
        self.command = command
        self.number = next(_NUMBERS)
        self.since = time.monotonic()
        self.settled = futures.Future[Submission]()
        """For code that awaits: `asyncio.wrap_future(pending.settled)`. It cannot be cancelled: the
        command goes on when whoever waited for it has given up."""
        self.settled.set_running_or_notify_cancel()
        self.asked = False
        """Someone was told that it was not accepted."""
        self._submitter = submitter
        self._told = told

    @property
    def op_id(self) -> str:
        return self.command.op_id

    def submission(self, timeout: timedelta | None = None) -> Submission:
        """Wait until the ledger holds the command.

        Raises what kept it from being accepted (OpIdReused, RateLimited, StateUnavailable), and
        OutcomePending if it is in the buffer still.
        """
        try:
            submission = self.settled.result(timeout.total_seconds() if timeout else None)
            submission.raise_if_refused()
        except futures.TimeoutError:
            raise OutcomePending(
                f"{self.command.op} is in the buffer still",
                kind=self.command.kind,
                tenant_id=self.command.tenant_id,
                env=self.command.env,
                next_step="it goes on; ask again, or see whether the state Redis answers",
            ) from None
        except SignalboxError:
            self.told()
            raise
        return submission

    def told(self) -> None:
        """Note that its caller knows that it was not accepted."""
        self.asked = True
        self._told(self)

    def outcome(self, timeout: timedelta = timedelta(seconds=30)) -> Outcome:
        """Wait until the command is done. Raises as `submission` does; OutcomePending."""
        until = time.monotonic() + timeout.total_seconds()
        submission = self.submission(timeout)
        left = max(0.0, until - time.monotonic())
        return self._submitter.outcome(submission, timedelta(seconds=left))
