"""The asynchronous client: submits commands and awaits outcomes in an asyncio service."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, overload

from signalbox.commands.error import DeliveryError, SignalboxError, StateUnavailable
from signalbox.commands.ledger.entry import Record
from signalbox.commands.model import Command
from signalbox.commands.one_core import run_anywhere
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.ref import Ref
from signalbox.commands.result import R, Returns
from signalbox.commands.settings import Settings
from signalbox.producers.client.async_content import take_in
from signalbox.producers.client.awaited_command import AwaitedCommand, AwaitedOutcome
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.client import Client
from signalbox.producers.client.full_buffer_queue import FullBufferQueue
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.producers.client.run_result import Ran, not_taken, unknown
from signalbox.producers.client.shared_lookup import SharedLookup
from signalbox.producers.client.submission import DEFAULT_WAIT, Submission, no_outcome

LIMITS = BufferLimits(
    linger=timedelta(milliseconds=2),
    longest=timedelta(milliseconds=20),
    give_up_after=timedelta(seconds=5),
)
"""Default limits: for a service that answers requests, a short linger and a short wait for the
ledger."""
THREADS = 8
"""Maximum number of blocking calls at a time, to the state Redis and the payload directory."""
LOOK_SECONDS, LONGEST_LOOK = 0.01, 0.25
"""Seconds until the ledger is asked for the outcome of a command that another client submitted; the
pause then doubles each time, up to the second number."""


class AsyncClient:
    """Submits commands through a buffer, and awaits outcomes without a thread for each.

    One per process is enough, for tasks of any event loop. A command for which `submit` returned is
    in the ledger: it takes effect exactly once, or becomes a dead letter. Cancelling a task does
    not cancel its command. Commands on one key take effect in the order of the calls. A client
    cannot be used in a forked process: make one there.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        limits: BufferLimits = LIMITS,
        client: Client | None = None,
    ) -> None:
        """`limits` say how long a command waits for others, and how much is buffered.

        A given `client` is used, and must be closed by the caller.
        """
        self.client = client or Client(settings)
        self._own_client = self.client if client is None else None
        self._buffer = self.client.buffer(limits)
        self._watch = self.client.waiter.watch
        self._inboxes = Inboxes()
        self._threads = ThreadPoolExecutor(THREADS, "signalbox-client", run_anywhere)
        ledger = self.client.ledger
        self._outcomes = SharedLookup(ledger.outcomes, self._threads, self._inboxes)
        self._records = SharedLookup(ledger.records, self._threads, self._inboxes)
        self._queue = FullBufferQueue(self._buffer, limits.give_up_after)
        self._listening = self._closed = False
        self._process = os.getpid()

    async def submit(self, command: Command) -> Submission:
        """Wait until the ledger holds the command.

        Raises OpIdReused, RateLimited, ReservedStream, StateUnavailable (after the limits'
        `give_up_after`), and DeliveryError if the client is closed.
        """
        [awaited] = await self._submit([command])
        if (error := awaited.error()) is not None:
            raise error
        return awaited.accepted()

    async def submit_many(self, commands: Iterable[Command]) -> list[Submission]:
        """Submit commands in this order.

        A refused command does not stop the others; its `raise_if_refused()` raises. Raises
        StateUnavailable if there was no answer for one.
        """
        return [awaited.accepted() for awaited in await self._submit(commands)]

    @overload
    async def run(self, command: Returns[R], timeout: timedelta = DEFAULT_WAIT) -> R: ...
    @overload
    async def run(self, command: Command, timeout: timedelta = DEFAULT_WAIT) -> Any: ...
    async def run(self, command: Any, timeout: timedelta = DEFAULT_WAIT) -> Any:
        """Submit, wait, and return the result in the type that the command names.

        Raises the command's own error, such as NotFound, and the errors of `run_outcome`.
        """
        outcome, kind = await self.run_outcome(command, timeout), command.result_type
        return outcome.result_as(kind) if kind else outcome.unwrap()

    async def run_outcome(
        self,
        command: Command,
        timeout: timedelta = DEFAULT_WAIT,
        *,
        waits: set[AwaitedOutcome] | None = None,
    ) -> Outcome:
        """Submit and wait for the outcome, which may be an error.

        Raises the errors of `submit`; StateUnavailable if the ledger has not accepted the command
        within `timeout`; and OutcomePending if it has, and the command is still running. The wait
        is in the set `waits` while it lasts: calling its `stop` ends it early.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        awaited = AwaitedCommand(self._inboxes.here(), command, to_its_end=True)
        if waits is not None:
            waits.add(awaited)
        try:
            await self._begin(awaited)
            await awaited.known_within(until - time.monotonic())
        finally:
            self._forget([awaited])
            if waits is not None:
                waits.discard(awaited)
        if awaited.outcome is not None:
            return awaited.outcome
        return (await self._end(awaited, timeout)).unwrap()

    async def run_many(
        self,
        commands: Iterable[Command],
        timeout: timedelta = DEFAULT_WAIT,
        *,
        waits: set[AwaitedOutcome] | None = None,
    ) -> list[Ran]:
        """Submit all commands in this order and wait; return the end of each, in order.

        The error of a single command is not raised. `waits` is as for `run_outcome`.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        inbox = self._inboxes.here()
        every = [AwaitedCommand(inbox, command, to_its_end=True) for command in commands]
        if waits is not None:
            waits.update(every)
        try:
            for awaited in every:
                await self._begin(awaited)
            await _known(every, until)
        finally:
            self._forget(every)
            if waits is not None:
                waits.difference_update(every)
        return await self._ends(every, timeout)

    async def outcome(self, submission: Submission, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Wait for the outcome of one command. Raises OutcomePending if it is still running."""
        [ran] = await self._wait([submission], timeout)
        return ran.unwrap()

    async def wait(
        self, submissions: Sequence[Submission], timeout: timedelta = DEFAULT_WAIT
    ) -> list[Outcome | None]:
        """Return the outcomes, in order; None for commands that are still open after `timeout`."""
        return [ran.outcome for ran in await self._wait(submissions, timeout)]

    async def wait_many(
        self,
        submissions: Sequence[Submission],
        timeout: timedelta = DEFAULT_WAIT,
        *,
        waits: set[AwaitedOutcome] | None = None,
    ) -> list[Ran]:
        """Wait for commands that were submitted; return what `run_many` does."""
        return await self._wait(submissions, timeout, waits)

    async def ended(self, ref: Ref, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Wait for the outcome of a command (`tenant/env/op_id`) that anyone may have submitted.

        Raises InvalidCommand if the ledger does not know it (any more), OutcomePending and
        StateUnavailable.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        awaited = AwaitedOutcome(self._inboxes.here())
        self._watch.watch(ref, awaited.tell)
        try:
            record = await self._records.ask(ref)
            if record is None:
                raise unknown(ref)
            awaited.outcome = record.outcome
            # The outcome of a command that another process submitted is announced only there.
            pause = LOOK_SECONDS
            while awaited.outcome is None and (left := until - time.monotonic()) > 0:
                if await awaited.within(min(pause, left)):
                    break
                awaited.outcome = await self._outcomes.ask(ref)
                pause = min(2 * pause, LONGEST_LOOK)
        finally:
            self._watch.forget(ref, awaited.tell)
        if awaited.outcome is None:
            raise no_outcome(ref, record.op, timeout, await self._records.ask(ref))
        return awaited.outcome

    async def record(self, ref: Ref) -> Record | None:
        """Return what the ledger knows of a command (`tenant/env/op_id`), whoever submitted it.

        None if it does not know it. Raises StateUnavailable.
        """
        self._check()
        return await self._records.ask(ref)

    async def payload(
        self,
        chunks: AsyncIterable[bytes],
        *,
        size: int | None = None,
        sha256: str | None = None,
    ) -> InlinePayload | StagedPayload:
        """Make the payload of a PutObject from a body as it arrives, in bounded memory.

        Content over the inline limit is staged below `SIGNALBOX_PAYLOAD_DIR`, by threads that wait
        for the disk and never for the sender. Raises ContentMismatch if the content differs from
        the declared `size` (bytes) or `sha256` (64 hexadecimal digits), TooLarge without a payload
        directory, and the errors of the iterator. Nothing is left of the content then, and no op_id
        was used.
        """
        self._check()
        return await take_in(chunks, self.client.content, self._threads, size=size, sha256=sha256)

    async def close(self) -> None:
        """Hand over what is buffered, stop the threads and disconnect. May be called again.

        Raises the first error that kept a command from being accepted, unless its caller was told.
        """
        if os.getpid() == self._process:
            self._closed = True
            await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _submit(self, commands: Iterable[Command]) -> list[AwaitedCommand]:
        self._check()
        inbox = self._inboxes.here()
        every = [AwaitedCommand(inbox, command, to_its_end=False) for command in commands]
        for awaited in every:
            await self._queue.put(awaited)
        for awaited in every:
            await awaited.known()
        return every

    async def _begin(self, awaited: AwaitedCommand) -> None:
        # Registered before the command is handed over, so that no announcement is missed.
        self._watch.watch(awaited.command.ref, awaited.tell)
        if not self._queue.put_at_once(awaited):
            await self._queue.put(awaited)

    async def _wait(
        self,
        submissions: Sequence[Submission],
        timeout: timedelta,
        waits: set[AwaitedOutcome] | None = None,
    ) -> list[Ran]:
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        inbox = self._inboxes.here()
        every = [AwaitedCommand(inbox, s.command, to_its_end=True, given=s) for s in submissions]
        if waits is not None:
            waits.update(every)
        try:
            left = []
            for awaited in every:
                if awaited.is_open:
                    self._watch.watch(awaited.command.ref, awaited.tell)
                    left.append(awaited)
            # It may have been announced earlier.
            answers = [self._outcomes.ask(awaited.command.ref) for awaited in left]
            for awaited, outcome in zip(left, await asyncio.gather(*answers), strict=True):
                if outcome is not None:
                    awaited.end(outcome)
            await _known(left, until)
        finally:
            self._forget(every)
            if waits is not None:
                waits.difference_update(every)
        return await self._ends(every, timeout)

    async def _ends(self, every: Sequence[AwaitedCommand], timeout: timedelta) -> list[Ran]:
        """Return the ends, after all waits are over."""
        return [await self._end(awaited, timeout) for awaited in every]

    async def _end(self, awaited: AwaitedCommand, timeout: timedelta) -> Ran:
        error = await self._error(awaited, timeout) if awaited.outcome is None else None
        return Ran(awaited.command, awaited.submission, awaited.outcome, error)

    async def _error(self, awaited: AwaitedCommand, timeout: timedelta) -> SignalboxError:
        if (error := awaited.error()) is not None:
            return error
        if awaited.submission is None:
            return not_taken(awaited.command, timeout)
        try:
            record = await self._records.ask(awaited.command.ref)
        except StateUnavailable as away:
            return away
        return no_outcome(awaited.command.ref, awaited.command.op, timeout, record)

    def _forget(self, every: Iterable[AwaitedCommand]) -> None:
        for awaited in every:
            if awaited.outcome is None:
                self._watch.forget(awaited.command.ref, awaited.tell)

    def _listen(self) -> None:
        # Not awaited: no task may overtake another on its way to the buffer.
        self._check()
        if not self._listening:
            self.client.waiter.listen()
            self._listening = True

    def _close(self) -> None:
        with ExitStack() as last_first:
            last_first.callback(self._threads.shutdown)
            if self._own_client is not None:
                last_first.callback(self._own_client.close)
            last_first.callback(self._buffer.close)
            last_first.callback(self._queue.close)

    def _check(self) -> None:
        if self._closed:
            raise DeliveryError("the client is closed", next_step="make another; nothing was added")
        if os.getpid() != self._process:
            raise DeliveryError(
                "the client is of the parent process",
                next_step="make a client in the process that uses it; nothing was added",
            )


async def _known(every: Sequence[AwaitedOutcome], until: float) -> None:
    """Wait for all of them, until `until` at the latest (`time.monotonic`)."""

    def stop() -> None:
        for awaited in every:
            awaited.stop()

    timer = asyncio.get_running_loop().call_later(max(0.0, until - time.monotonic()), stop)
    try:
        for awaited in every:
            await awaited.known()
    finally:
        timer.cancel()
