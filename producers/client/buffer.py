"""A buffer in front of the client: commands are added one by one and submitted in batches.

One thread submits them, in the order of the adds. A command is in the ledger only when its
`Pending` says so: commands in the buffer are lost if the process ends.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent import futures
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from signalbox.commands.error import (
    DeliveryError,
    InvalidSetting,
    OutcomePending,
    RateLimited,
    SignalboxError,
    StateUnavailable,
)
from signalbox.commands.model import Command
from signalbox.producers.client.buffered_command import Pending, Submitter
from signalbox.producers.client.flush_queue import FlushQueue
from signalbox.producers.client.submission import MAX_SUBMIT, Submission, ask_again

log = structlog.get_logger("signalbox.buffer")

FRAME_BYTES = 512
"""Memory counted for each command in addition to its content, in bytes."""
MAX_LOST = 1000
"""Maximum number of unreported errors that are kept for `close`."""


@dataclass(frozen=True)
class BufferLimits:
    """When a buffer submits, and how much it holds. Raises InvalidSetting."""

    count: int = 100
    """Flush at this many pending commands; at most 500 are sent in one round trip."""
    size: int = 1024 * 1024
    """Flush at this many pending bytes."""
    linger: timedelta = timedelta(milliseconds=5)
    """Flush when the oldest pending command has waited this long."""
    longest: timedelta = timedelta(0)
    """Wait up to this long, if it exceeds `linger`, while most of the commands whose outcomes are
    waited for are running."""
    capacity: int = 10_000
    """Maximum number of commands in the buffer; `add` waits while it is full."""
    capacity_bytes: int = 64 * 1024 * 1024
    """Maximum number of bytes in the buffer; `add` waits while it is full."""
    give_up_after: timedelta = timedelta(seconds=60)
    """A command that the ledger has not accepted after this time fails."""

    def __post_init__(self) -> None:
        numbers = (self.count, self.size, self.capacity, self.capacity_bytes)
        if min(numbers) < 1 or self.linger < timedelta(0) or self.give_up_after < timedelta(0):
            raise InvalidSetting(
                "a limit of the buffer is not positive",
                next_step="use numbers of at least 1, and times of at least 0",
            )


class Buffer:
    """Takes commands from any thread and submits them in batches on its own thread.

    Commands on one key take effect in the order of their adds. While too many commands of a tenant
    and env are open, further ones of it wait in the buffer, in order; others pass. A command that
    the ledger refused, or did not accept within `give_up_after`, fails its `Pending`; if nobody has
    asked there, `close` raises the first error. Buffers are closed when the process ends
    by returning or by an exception; a process ended by a signal without a handler (SIGTERM too)
    loses what is buffered. A buffer cannot be used in a forked process: make one there.
    """

    def __init__(
        self,
        submitter: Submitter,
        limits: BufferLimits,
        *,
        inline_limit: int,
        in_flight: Callable[[], int] = int,
    ) -> None:
        """`in_flight` returns the number of commands whose outcomes are waited for.

        Contents over `inline_limit` bytes are staged and not counted.
        """
        self.limits = limits
        self.closed = False
        self._submitter = submitter
        self._inline_limit = inline_limit
        lock = threading.Lock()
        self._work, self._room = threading.Condition(lock), threading.Condition(lock)
        linger, longest = limits.linger.total_seconds(), limits.longest.total_seconds()
        self._queue = FlushQueue[Pending](limits.count, limits.size, linger, longest, in_flight)
        self._held: dict[Pending, int] = {}
        self._bytes = 0
        self._lost: OrderedDict[int, SignalboxError] = OrderedDict()
        """Errors that were not reported yet, by the number of their `Pending`; without the command,
        so that its content is freed."""
        self._broken: DeliveryError | None = None
        """The exception that ended the thread; None while it runs."""
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="signalbox-buffer", daemon=True)
        self._thread.start()
        # The thread is a daemon and still runs during these handlers.
        atexit.register(self._close_at_exit)

    def add(self, command: Command, timeout: timedelta | None = None) -> Pending:
        """Append a command; wait while the buffer is full.

        Raises RateLimited if it is full for longer than `timeout` (default: the limits'
        `give_up_after`), and DeliveryError if it is closed or broken. The command was not added.
        """
        self._check_process(command)
        weight = self._weight(command)
        seconds = (self.limits.give_up_after if timeout is None else timeout).total_seconds()
        with self._room:
            if not self._room.wait_for(lambda: self.closed or self._fits(weight), seconds):
                raise RateLimited(
                    f"the buffer is full: {len(self._held)} commands, {self._bytes} bytes",
                    kind=command.kind,
                    tenant_id=command.tenant_id,
                    env=command.env,
                    next_step="add it again later, or make the buffer larger; "
                    "if it stays full, see whether the state Redis answers",
                )
            if self.closed:
                raise _closed(command, "the buffer is closed", "make another", cause=self._broken)
            pending = Pending(command, self._submitter, self._forget)
            self._held[pending] = weight
            self._bytes += weight
            if self._queue.add(_scope(pending), pending, weight):
                self._work.notify()
        return pending

    def flush(self, timeout: timedelta | None = None) -> None:
        """Submit now, and wait until everything that was added before is settled.

        Raises OutcomePending if that takes longer than `timeout`.
        """
        with self._work:
            waited_for = [pending.settled for pending in self._held]
            self._queue.hurry()
            self._work.notify()
        _, left = futures.wait(waited_for, timeout.total_seconds() if timeout else None)
        if left:
            raise OutcomePending(
                f"{len(left)} commands are in the buffer still",
                next_step="they go on; see whether the state Redis answers",
            )

    def close(self) -> None:
        """Flush, and stop the thread. May be called again.

        Raises the first error that kept a command from being accepted, unless its caller was told,
        and DeliveryError if the buffer broke.
        """
        if os.getpid() != self._process:
            return
        self._end()
        if self._broken is not None:
            broken, self._broken = self._broken, None
            self._lost.clear()
            raise broken
        lost = list(self._lost.values())
        self._lost.clear()
        if lost:
            lost[0].add_note(f"{len(lost)} commands of the buffer were not accepted")
            raise lost[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._close_at_exit()  # The block's own exception must not be replaced.

    def _end(self) -> None:
        atexit.unregister(self._close_at_exit)
        with self._work:
            self.closed = True
            self._queue.hurry()
            self._work.notify()
            self._room.notify_all()
        self._thread.join()

    def _close_at_exit(self) -> None:
        try:
            self.close()
        except SignalboxError as error:
            log.error("the buffer could not hand over all", error=str(error), code=error.code)

    def _check_process(self, command: Command) -> None:
        # Before the lock is taken, which a thread of the parent may have held at the fork.
        if os.getpid() != self._process:
            raise _closed(command, "the buffer is of the parent process", "make a client here")

    def _weight(self, command: Command) -> int:
        # Larger content is staged, and the command only names it.
        return FRAME_BYTES + min(command.size, self._inline_limit)

    def _fits(self, weight: int) -> bool:
        room = (
            self._bytes + weight <= self.limits.capacity_bytes
            and len(self._held) < self.limits.capacity
        )
        return room or not self._held

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - raised by adds, `Pending`s and `close`
            self._break(error)

    def _turn(self) -> bool:
        # In a function of its own, so that a submitted group is freed while this waits for more.
        group = self._next()
        if group:
            self._hand_over(group)
        return bool(group)

    def _break(self, cause: BaseException) -> None:
        """Fail all commands and refuse further ones, since the submitting thread has ended."""
        log.error("the buffer broke", exc_info=cause)
        with self._room:
            left = list(self._held)
            self._held.clear()
            self._bytes = 0
            self.closed = True
            self._broken = DeliveryError(
                f"the buffer broke ({type(cause).__name__}) with {len(left)} commands in it",
                next_step="see this error's cause; submit them again under their op_ids, "
                "which takes none twice",
            )
            self._broken.__cause__ = cause
            self._room.notify_all()
        for pending in left:
            if not pending.is_settled:
                pending.settle(_own(self._broken, pending.command))

    def _next(self) -> list[Pending]:
        """Return the commands to submit next; none at the end."""
        with self._work:
            while True:
                group = self._queue.take(MAX_SUBMIT)
                if group or (self.closed and not self._held):
                    return group
                self._work.wait(self._queue.seconds())

    def _hand_over(self, group: list[Pending]) -> None:
        overdue = time.monotonic() - self.limits.give_up_after.total_seconds()
        again: list[tuple[str, Pending]] = []
        settled: list[Pending] = []
        lost: list[tuple[Pending, SignalboxError]] = []
        for pending, end in zip(group, self._try(group), strict=True):
            if isinstance(end, Submission):
                if end.full and pending.since > overdue:
                    again.append((_scope(pending), pending))
                    continue
                # An accepted command names staged content by itself, so the caller's payload is
                # released.
                pending.command = end.command
                error = end.refusal()
            else:
                error = end
            pending.settle(end)
            settled.append(pending)
            if error is not None:
                lost.append((pending, error))
        with self._room:
            self._queue.put_back({_scope(pending) for pending in group}, again)
            for pending in settled:
                self._bytes -= self._held.pop(pending)
            # Under the lock, since a caller may be told at this moment.
            self._lost.update((p.number, error) for p, error in lost if not p.reported)
            while len(self._lost) > MAX_LOST:
                self._lost.popitem(last=False)
            self._room.notify_all()

    def _forget(self, pending: Pending) -> None:
        with self._room:
            self._lost.pop(pending.number, None)

    def _try(self, group: list[Pending]) -> list[Submission | SignalboxError]:
        """Submit the group; return the end of each.

        If the call fails, submit each command alone.
        """
        try:
            return [*self._submit(group)]
        except Exception as error:  # noqa: BLE001 - raised to whoever asks for the command
            if len(group) == 1 or isinstance(error, StateUnavailable):
                return [_own(error, pending.command) for pending in group]
        ends: list[Submission | SignalboxError] = []
        full: dict[str, Submission] = {}
        for pending in group:
            # After a command that has to be submitted again, no later one of its tenant and env is
            # submitted.
            before = full.get(_scope(pending))
            [end] = [_instead(before, pending)] if before else self._try([pending])
            if isinstance(end, Submission) and end.full:
                full[_scope(pending)] = end
            ends.append(end)
        return ends

    def _submit(self, group: list[Pending]) -> list[Submission]:
        """Submit until it succeeds: a command that was accepted before is not accepted twice."""
        left = group[0].since + self.limits.give_up_after.total_seconds() - time.monotonic()
        commands = [pending.command for pending in group]
        submissions: list[Submission] = ask_again(left)(self._submitter.submit_many, commands)
        return submissions


def _scope(pending: Pending) -> str:
    return f"{pending.command.tenant_id}/{pending.command.env}"


def _instead(full: Submission, pending: Pending) -> Submission:
    return replace(full, command=pending.command)


def _own(error: Exception, command: Command) -> SignalboxError:
    """Return an error for this command alone, since each is raised in another thread."""
    if isinstance(error, SignalboxError):
        own = copy(error)
        own.__cause__ = error.__cause__
    else:
        own = DeliveryError(
            f"the command could not be handed over ({type(error).__name__})",
            next_step="see this error's cause; nothing was accepted",
        )
        own.__cause__ = error
    return own.at(kind=command.kind, tenant_id=command.tenant_id, env=command.env)


def _closed(
    command: Command, message: str, next_step: str, cause: DeliveryError | None = None
) -> DeliveryError:
    error = DeliveryError(
        message if cause is None else cause.message,
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step=f"{next_step}; nothing was added",
    )
    error.__cause__ = cause
    return error
