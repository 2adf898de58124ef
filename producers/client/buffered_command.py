"""A command in a buffer, whose result can be waited for."""

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
"""Guards the end and the listeners of all commands: a lock for each would be most of its memory."""


class Submitter(Protocol):
    """The methods of a client that a buffer uses."""

    def submit_many(self, commands: list[Command]) -> list[Submission]: ...

    def outcome(self, submission: Submission, timeout: timedelta) -> Outcome: ...


class Pending:
    """A command in a buffer, and what becomes of it. Thread-safe."""

    def __init__(
        self, command: Command, submitter: Submitter, on_reported: Callable[[Pending], None]
    ) -> None:
        """`on_reported` is called when a caller was told that the command was not accepted."""
        self.command = command
        self.number = next(_NUMBERS)
        self.since = time.monotonic()
        self._end: Submission | SignalboxError | None = None
        self._future: futures.Future[Submission] | None = None
        self._listener: Callable[[Submission | SignalboxError], None] | None = None
        self.reported = False
        """True if a caller was told that the command was not accepted."""
        self._submitter = submitter
        self._on_reported = on_reported

    @property
    def op_id(self) -> str:
        """The command's op_id."""
        return self.command.op_id

    @property
    def settled(self) -> futures.Future[Submission]:
        """A future of the submission, for `asyncio.wrap_future(pending.settled)`.

        It cannot be cancelled: the command continues when its caller has given up.
        """
        with _LOCK:
            if self._future is None:
                self._future = futures.Future()
                self._future.set_running_or_notify_cancel()
                if self._end is not None:
                    _fulfil(self._future, self._end)
            return self._future

    @property
    def is_settled(self) -> bool:
        """True if the ledger has answered, or could not be reached."""
        return self._end is not None

    def settle(self, end: Submission | SignalboxError) -> None:
        """Record the ledger's answer, or why there is none. Called once by the buffer."""
        with _LOCK:
            self._end = end
            future, listener = self._future, self._listener
        if future is not None:
            _fulfil(future, end)
        if listener is not None:
            listener(end)

    def when_settled(self, listener: Callable[[Submission | SignalboxError], None]) -> None:
        """Have `listener` called on any thread, now or later. It must not block."""
        with _LOCK:
            self._listener, end = listener, self._end
        if end is not None:
            listener(end)

    def submission(self, timeout: timedelta | None = None) -> Submission:
        """Wait until the ledger holds the command.

        Raises the error that kept it from being accepted (OpIdReused, RateLimited,
        StateUnavailable), and OutcomePending if it is still in the buffer after `timeout`.
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
            self.mark_reported()
            raise
        return submission

    def mark_reported(self) -> None:
        """Record that the caller knows that the command was not accepted."""
        self.reported = True
        self._on_reported(self)

    def outcome(self, timeout: timedelta = timedelta(seconds=30)) -> Outcome:
        """Wait for the outcome. Raises the errors of `submission`, and OutcomePending."""
        until = time.monotonic() + timeout.total_seconds()
        submission = self.submission(timeout)
        left = max(0.0, until - time.monotonic())
        return self._submitter.outcome(submission, timedelta(seconds=left))


def _fulfil(future: futures.Future[Submission], end: Submission | SignalboxError) -> None:
    if isinstance(end, SignalboxError):
        future.set_exception(end)
    else:
        future.set_result(end)
