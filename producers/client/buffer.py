"""A buffer in front of the client: commands added one by one are handed over many together.

One thread hands over, in the order of the adds. A command is in the ledger when its `Pending` says
so, not before: what is only in the buffer is lost with the process.
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
"""Counted for a command beside its content."""
MAX_LOST = 1000
"""Errors that nobody was told, kept for `close`."""


@dataclass(frozen=True)
class BufferLimits:
    """When a buffer flushes, and how much it holds. Raises InvalidSetting."""

    count: int = 100
    """Flush at this many pending commands; one round trip takes at most 500."""
    size: int = 1024 * 1024
    """Flush at this many pending bytes."""
    linger: timedelta = timedelta(milliseconds=5)
    """Flush when the oldest pending command has waited this long."""
    longest: timedelta = timedelta(0)
    """Wait this long instead of `linger`, if that is longer, while most of the commands whose
    outcomes are awaited are still running."""
    capacity: int = 10_000
    """Maximum number of commands in the buffer; `add` waits while it is full."""
    capacity_bytes: int = 64 * 1024 * 1024
    """Maximum number of bytes in the buffer; `add` waits while it is full."""
    patience: timedelta = timedelta(seconds=60)
    """Give up a command that the ledger has not accepted for this long."""

    def __post_init__(self) -> None:
        numbers = (self.count, self.size, self.capacity, self.capacity_bytes)
        if min(numbers) < 1 or self.linger < timedelta(0) or self.patience < timedelta(0):
            raise InvalidSetting(
                "a limit of the buffer is not positive",
                next_step="use numbers of at least 1, and times of at least 0",
            )


class Buffer:
    """Takes commands from any thread and hands them over by one of its own.

    Commands on one key take effect in the order of their adds. While too many commands of a
    tenant and env are open, those of it wait in the buffer, in order; others pass. What the
    ledger refused, or did not take within the limits' patience, is told to the command's
    `Pending`; if nobody asked there, `close` raises the first. A process that ends by returning or
    by an exception closes its buffers; one that is ended by a signal without a handler (SIGTERM
    too) loses what was not handed over. A buffer does not live on in a forked process: make one
    there.
    """

    def __init__(
        self,
        submitter: Submitter,
        limits: BufferLimits,
        *,
        inline_limit: int,
        in_flight: Callable[[], int] = int,
    ) -> None:
        """`in_flight` counts commands whose outcomes are waited for."""
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
        """Errors that nobody was told yet, by their `Pending`'s number; without the commands, whose
        content would stay with them."""
        self._broken: DeliveryError | None = None
        """What ended the thread before its time."""
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="signalbox-buffer", daemon=True)
        self._thread.start()
        # The thread is a daemon, which still runs while these handlers do.
        atexit.register(self._close_at_exit)

    def add(self, command: Command, timeout: timedelta | None = None) -> Pending:
        """Put a command behind those that were added before; wait while the buffer is full.

        Raises RateLimited if it is full for longer than `timeout` (None: the limits' patience),
        DeliveryError if it is closed or broken. Nothing was added then.
        """
        self._check_process(command)
        weight = self._weight(command)
        patience = (self.limits.patience if timeout is None else timeout).total_seconds()
        with self._room:
            if not self._room.wait_for(lambda: self.closed or self._fits(weight), patience):
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
            if self._queue.add(_place(pending), pending, weight):
                self._work.notify()
        return pending

    def flush(self, timeout: timedelta | None = None) -> None:
        """Hand over now, and wait until all that was added before is settled.

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
        """Flush, and end the thread. Again is harmless.

        Raises the first error that kept a command from being accepted, unless it was told before,
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
            self._close_at_exit()  # the block's own error is the one to be seen

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
        # Before the lock, which a thread of the parent may have held at the fork.
        if os.getpid() != self._process:
            raise _closed(command, "the buffer is of the parent process", "make a client here")

    def _weight(self, command: Command) -> int:
        # Larger contents are staged; the command names them alone.
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
        except BaseException as error:  # noqa: BLE001 - adds, `Pending`s and `close` raise it
            self._break(error)

    def _turn(self) -> bool:
        # A frame of its own: what was handed over is not held until there is more.
        group = self._next()
        if group:
            self._hand_over(group)
        return bool(group)

    def _break(self, cause: BaseException) -> None:
        """Without its thread nothing is handed over any more: tell everyone who waits or comes."""
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
        """The commands to hand over next; none at the end."""
        with self._work:
            while True:
                group = self._queue.take(MAX_SUBMIT)
                if group or (self.closed and not self._held):
                    return group
                self._work.wait(self._queue.seconds())

    def _hand_over(self, group: list[Pending]) -> None:
        overdue = time.monotonic() - self.limits.patience.total_seconds()
        again: list[tuple[str, Pending]] = []
        settled: list[Pending] = []
        lost: list[tuple[Pending, SignalboxError]] = []
        for pending, end in zip(group, self._try(group), strict=True):
            if isinstance(end, Submission):
                if end.full and pending.since > overdue:
                    again.append((_place(pending), pending))
                    continue
                # What was accepted no longer holds the caller's content, as far as it is staged.
                pending.command = end.command
                error = end.refusal()
            else:
                error = end
            pending.settle(end)
            settled.append(pending)
            if error is not None:
                lost.append((pending, error))
        with self._room:
            self._queue.put_back({_place(pending) for pending in group}, again)
            for pending in settled:
                self._bytes -= self._held.pop(pending)
            # Under the lock, since it may be told at this moment.
            self._lost.update((p.number, error) for p, error in lost if not p.asked)
            while len(self._lost) > MAX_LOST:
                self._lost.popitem(last=False)
            self._room.notify_all()

    def _forget(self, pending: Pending) -> None:
        with self._room:
            self._lost.pop(pending.number, None)

    def _try(self, group: list[Pending]) -> list[Submission | SignalboxError]:
        """What became of each. Where one spoils a call, it does so alone."""
        try:
            return [*self._submit(group)]
        except Exception as error:  # noqa: BLE001 - it reaches whoever asks
            if len(group) == 1 or isinstance(error, StateUnavailable):
                return [_own(error, pending.command) for pending in group]
        ends: list[Submission | SignalboxError] = []
        full: dict[str, Submission] = {}
        for pending in group:
            # Behind one that is to come again none of its place goes on.
            before = full.get(_place(pending))
            [end] = [_instead(before, pending)] if before else self._try([pending])
            if isinstance(end, Submission) and end.full:
                full[_place(pending)] = end
            ends.append(end)
        return ends

    def _submit(self, group: list[Pending]) -> list[Submission]:
        """Until it succeeds: under its op_id a command that was accepted is not taken twice."""
        left = group[0].since + self.limits.patience.total_seconds() - time.monotonic()
        commands = [pending.command for pending in group]
        submissions: list[Submission] = ask_again(left)(self._submitter.submit_many, commands)
        return submissions


def _place(pending: Pending) -> str:
    return f"{pending.command.tenant_id}/{pending.command.env}"


def _instead(full: Submission, pending: Pending) -> Submission:
    return replace(full, command=pending.command)


def _own(error: Exception, command: Command) -> SignalboxError:
    """An error for this command alone: they are raised in many threads."""
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
