"""A command in a buffer, and what becomes of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent import futures
from datetime import timedelta
from typing import Protocol

from signalbox.commands.error import OutcomePending, SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.producers.client.submission import Submission

_NUMBERS = itertools.count()
_LOCK = threading.Lock()
"""Between a look at how a command was settled and the wish to be told: one for all, since it is
held for a moment and a lock for each would be most of what a `Pending` costs."""


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
        self._end: Submission | SignalboxError | None = None
        self._future: futures.Future[Submission] | None = None
        self._listener: Callable[[Submission | SignalboxError], None] | None = None
        self.asked = False
        """Someone was told that it was not accepted."""
        self._submitter = submitter
        self._told = told

    @property
    def op_id(self) -> str:
        return self.command.op_id

    @property
    def settled(self) -> futures.Future[Submission]:
        """For code that awaits: `asyncio.wrap_future(pending.settled)`. It cannot be cancelled: the
        command goes on when whoever waited for it has given up."""
        with _LOCK:
            if self._future is None:
                self._future = futures.Future()
                self._future.set_running_or_notify_cancel()
                if self._end is not None:
                    _fulfil(self._future, self._end)
            return self._future

    @property
    def is_settled(self) -> bool:
        return self._end is not None

    def settle(self, end: Submission | SignalboxError) -> None:
        """Called once by the buffer: what the ledger answered, or what kept it from answering."""
        with _LOCK:
            self._end = end
            future, listener = self._future, self._listener
        if future is not None:
            _fulfil(future, end)
        if listener is not None:
            listener(end)

    def when_settled(self, listener: Callable[[Submission | SignalboxError], None]) -> None:
        """Tell this one, on any thread, now or later. It must not block."""
        with _LOCK:
            self._listener, end = listener, self._end
        if end is not None:
            listener(end)

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


def _fulfil(future: futures.Future[Submission], end: Submission | SignalboxError) -> None:
    if isinstance(end, SignalboxError):
        future.set_exception(end)
    else:
        future.set_result(end)
