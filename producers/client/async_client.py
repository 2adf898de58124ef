"""What an asyncio service uses: the words of `Client`, for tasks instead of threads."""

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
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.ref import Ref
from signalbox.commands.result import R, Returns
from signalbox.commands.settings import Settings
from signalbox.producers.client.async_content import take_in
from signalbox.producers.client.awaited_command import Asked, Told
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.client import Client
from signalbox.producers.client.full_buffer_queue import FullLine
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.producers.client.run_result import Ran, not_taken, unknown
from signalbox.producers.client.shared_lookup import Together
from signalbox.producers.client.submission import DEFAULT_WAIT, Submission, no_outcome

LIMITS = BufferLimits(
    linger=timedelta(milliseconds=2),
    longest=timedelta(milliseconds=20),
    patience=timedelta(seconds=5),
)
"""A service that answers someone lingers little, and says soon that the ledger is away."""
THREADS = 8
"""Blocking calls at a time: of the state Redis, and of the payload directory."""
LOOK_SECONDS, LONGEST_LOOK = 0.01, 0.25
"""What was submitted elsewhere is looked for so soon, then after twice as long each time."""


class AsyncClient:
    """Submits commands through a buffer, and waits for outcomes without a thread for each.

    One a process is enough, for tasks of any event loop. A command that `submit` returned for is
    in the ledger: it takes effect exactly once, or ends as a dead letter. A task that is cancelled
    takes nothing back: what it handed over goes on. Commands on one key take effect in the order
    of the calls. It does not live on in a forked process: make one there.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        limits: BufferLimits = LIMITS,
        client: Client | None = None,
    ) -> None:
        """`limits` say how long a command lingers for others, and how much is held. A `client`
        that is given is the one underneath, and its owner's to close."""
        self.client = client or Client(settings)
        self._own_client = self.client if client is None else None
        self._buffer = self.client.buffer(limits)
        self._watch = self.client.waiter.watch
        self._inboxes = Inboxes()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="signalbox-client")
        ledger = self.client.ledger
        self._outcomes = Together(ledger.outcomes, self._threads, self._inboxes)
        self._records = Together(ledger.records, self._threads, self._inboxes)
        self._line = FullLine(self._buffer, limits.patience)
        self._listening = self._closed = False
        self._process = os.getpid()

    async def submit(self, command: Command) -> Submission:
        """Wait until the ledger holds the command. Raises OpIdReused, RateLimited, ReservedStream,
        StateUnavailable (after the limits' patience), DeliveryError (closed)."""
        [asked] = await self._submit([command])
        if (error := asked.error()) is not None:
            raise error
        return asked.accepted()

    async def submit_many(self, commands: Iterable[Command]) -> list[Submission]:
        """Hand over commands in this order. A refused one does not stop others, but raises at its
        `raise_if_refused()`. Raises StateUnavailable if there was no answer for one."""
        return [asked.accepted() for asked in await self._submit(commands)]

    @overload
    async def run(self, command: Returns[R], timeout: timedelta = DEFAULT_WAIT) -> R: ...
    @overload
    async def run(self, command: Command, timeout: timedelta = DEFAULT_WAIT) -> Any: ...
    async def run(self, command: Any, timeout: timedelta = DEFAULT_WAIT) -> Any:
        """Submit, wait, and give the result, in the type that the command names.

        Raises the error with which the command failed, such as NotFound, and as `run_outcome`.
        """
        outcome, kind = await self.run_outcome(command, timeout), command.result_type
        return outcome.result_as(kind) if kind else outcome.unwrap()

    async def run_outcome(
        self,
        command: Command,
        timeout: timedelta = DEFAULT_WAIT,
        *,
        waits: set[Told] | None = None,
    ) -> Outcome:
        """Submit and wait for the outcome, which may be an error. Raises as `submit` does;
        OutcomePending, and the command goes on.

        If not even the ledger has taken it when the time is over, that is StateUnavailable.
        `waits` has the wait while it lasts: whoever calls `stop` there ends it before its time.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        asked = Asked(self._inboxes.here(), command, to_its_end=True)
        if waits is not None:
            waits.add(asked)
        try:
            await self._begin(asked)
            await asked.known_within(until - time.monotonic())
        finally:
            self._forget([asked])
            if waits is not None:
                waits.discard(asked)
        if asked.outcome is not None:
            return asked.outcome
        return (await self._end(asked, timeout)).unwrap()

    async def run_many(
        self,
        commands: Iterable[Command],
        timeout: timedelta = DEFAULT_WAIT,
        *,
        waits: set[Told] | None = None,
    ) -> list[Ran]:
        """Submit all in this order and wait; what became of each, in order. Raises nothing for a
        single command. `waits` as in `run`."""
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        inbox = self._inboxes.here()
        every = [Asked(inbox, command, to_its_end=True) for command in commands]
        if waits is not None:
            waits.update(every)
        try:
            for asked in every:
                await self._begin(asked)
            await _known(every, until)
        finally:
            self._forget(every)
            if waits is not None:
                waits.difference_update(every)
        return await self._ends(every, timeout)

    async def outcome(self, submission: Submission, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """Wait for the outcome of one. Raises OutcomePending; the command goes on then."""
        [ran] = await self._wait([submission], timeout)
        return ran.unwrap()

    async def wait(
        self, submissions: Sequence[Submission], timeout: timedelta = DEFAULT_WAIT
    ) -> list[Outcome | None]:
        """Their outcomes, in order; None for what is still open when the time is over."""
        return [ran.outcome for ran in await self._wait(submissions, timeout)]

    async def ended(self, ref: Ref, timeout: timedelta = DEFAULT_WAIT) -> Outcome:
        """The outcome of a command (`tenant/env/op_id`) that anyone submitted.

        Raises InvalidCommand if the ledger does not know it (any more), OutcomePending,
        StateUnavailable.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        told = Told(self._inboxes.here())
        self._watch.want(ref, told.tell)
        try:
            record = await self._records.ask(ref)
            if record is None:
                raise unknown(ref)
            told.outcome = record.outcome
            # What another process submitted is announced there, and not here.
            pause = LOOK_SECONDS
            while told.outcome is None and (left := until - time.monotonic()) > 0:
                if await told.within(min(pause, left)):
                    break
                told.outcome = await self._outcomes.ask(ref)
                pause = min(2 * pause, LONGEST_LOOK)
        finally:
            self._watch.forget(ref, told.tell)
        if told.outcome is None:
            raise no_outcome(ref, record.op, timeout, await self._records.ask(ref))
        return told.outcome

    async def record(self, ref: Ref) -> Record | None:
        """What the ledger knows of a command (`tenant/env/op_id`), whoever submitted it. Raises
        StateUnavailable."""
        self._check()
        return await self._records.ask(ref)

    async def payload(
        self,
        chunks: AsyncIterable[bytes],
        *,
        size: int | None = None,
        sha256: str | None = None,
    ) -> InlinePayload | StagedPayload:
        """The content of a PutObject, from a body as it arrives, in bounded memory.

        What is over the inline limit is staged below `SIGNALBOX_PAYLOAD_DIR`, by threads that
        wait for the disk and never for the sender. Raises ContentMismatch if it has not the `size`
        (bytes) or digest (64 hexadecimal digits) that were declared, TooLarge without a payload
        directory, and whatever the iterator raises. Nothing of it is left then, and no op_id was
        taken.
        """
        self._check()
        return await take_in(chunks, self.client.content, self._threads, size=size, sha256=sha256)

    async def close(self) -> None:
        """Hand over what is held, end the threads and disconnect. Again is harmless.

        Raises the first error that kept a command from being accepted, unless it was told before.
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

    async def _submit(self, commands: Iterable[Command]) -> list[Asked]:
        self._check()
        inbox = self._inboxes.here()
        every = [Asked(inbox, command, to_its_end=False) for command in commands]
        for asked in every:
            await self._line.put(asked)
        for asked in every:
            await asked.known()
        return every

    async def _begin(self, asked: Asked) -> None:
        # Before it is handed over, so that no announcement can be missed.
        self._watch.want(asked.command.ref, asked.tell)
        if not self._line.put_at_once(asked):
            await self._line.put(asked)

    async def _wait(self, submissions: Sequence[Submission], timeout: timedelta) -> list[Ran]:
        until = time.monotonic() + timeout.total_seconds()
        self._listen()
        inbox = self._inboxes.here()
        every = [Asked(inbox, s.command, to_its_end=True, given=s) for s in submissions]
        try:
            left = []
            for asked in every:
                if asked.is_open:
                    self._watch.want(asked.command.ref, asked.tell)
                    left.append(asked)
            # It may have been announced before.
            answers = [self._outcomes.ask(asked.command.ref) for asked in left]
            for asked, outcome in zip(left, await asyncio.gather(*answers), strict=True):
                if outcome is not None:
                    asked.end(outcome)
            await _known(left, until)
        finally:
            self._forget(every)
        return await self._ends(every, timeout)

    async def _ends(self, every: Sequence[Asked], timeout: timedelta) -> list[Ran]:
        """What became of each, when nobody waits any more."""
        return [await self._end(asked, timeout) for asked in every]

    async def _end(self, asked: Asked, timeout: timedelta) -> Ran:
        error = await self._error(asked, timeout) if asked.outcome is None else None
        return Ran(asked.command, asked.submission, asked.outcome, error)

    async def _error(self, asked: Asked, timeout: timedelta) -> SignalboxError:
        if (error := asked.error()) is not None:
            return error
        if asked.submission is None:
            return not_taken(asked.command, timeout)
        try:
            record = await self._records.ask(asked.command.ref)
        except StateUnavailable as away:
            return away
        return no_outcome(asked.command.ref, asked.command.op, timeout, record)

    def _forget(self, every: Iterable[Asked]) -> None:
        for asked in every:
            if asked.outcome is None:
                self._watch.forget(asked.command.ref, asked.tell)

    def _listen(self) -> None:
        # Without a wait: no task may pass another on its way to the buffer.
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
            last_first.callback(self._line.close)

    def _check(self) -> None:
        if self._closed:
            raise DeliveryError("the client is closed", next_step="make another; nothing was added")
        if os.getpid() != self._process:
            raise DeliveryError(
                "the client is of the parent process",
                next_step="make a client in the process that uses it; nothing was added",
            )


async def _known(every: Sequence[Told], until: float) -> None:
    """Wait for all of them, at most until then (`time.monotonic`)."""

    def stop() -> None:
        for asked in every:
            asked.stop()

    timer = asyncio.get_running_loop().call_later(max(0.0, until - time.monotonic()), stop)
    try:
        for asked in every:
            await asked.known()
    finally:
        timer.cancel()
