"""The services that all handlers use: writes through the buffer, reads, and blocking calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import structlog

from signalbox.commands.error import OutcomePending, SignalboxError, StateUnavailable
from signalbox.commands.ledger.entry import Record
from signalbox.commands.model import Command
from signalbox.commands.object_store import GetObject
from signalbox.commands.one_core import run_anywhere
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.ref import Ref
from signalbox.commands.settings import Settings
from signalbox.gateway.open_content import Content
from signalbox.gateway.reads import Reads
from signalbox.gateway.settings import GatewaySettings
from signalbox.gateway.signed_commands import SignedCommands
from signalbox.producers.client.async_client import LIMITS, AsyncClient
from signalbox.producers.client.awaited_command import AwaitedOutcome
from signalbox.producers.client.client import Client
from signalbox.producers.client.run_result import Ran
from signalbox.producers.client.submission import Submission
from signalbox.routing.registry.registry import Registry

log = structlog.get_logger("signalbox.gateway")

Answer = TypeVar("Answer")

THREADS = 16
"""Number of threads for calls about routes, policies and dead letters."""
SLOW_THREADS = 8
"""Number of threads for calls that wait for workers."""
_NOW = timedelta(0)


class Services:
    """The services of one gateway process. Must be made in the event loop that serves."""

    def __init__(self, settings: Settings, own: GatewaySettings) -> None:
        self.settings, self.own = settings, own
        self.client = Client(settings)
        trust = trust_of(settings)
        self.registry = Registry(self.client.state, trust)
        self.stopping = asyncio.Event()
        """Set when the gateway is told to stop."""
        self._commands = AsyncClient(client=self.client, limits=replace(LIMITS, linger=own.linger))
        self._reads = Reads(self._commands)
        self._threads = _pool(THREADS, "gateway-call")
        self._slow = _pool(SLOW_THREADS, "gateway-slow")
        self._signed = SignedCommands(settings, self.client, self.registry, trust, self._threads)
        self._waits: set[AwaitedOutcome] = set()
        """The current waits for outcomes."""

    async def run(self, command: Command, wait: timedelta) -> Outcome | None:
        """Submit a command and wait.

        Return None if it is still running after `wait`, or when the gateway stops. Raises
        OpIdReused, RateLimited, ReservedStream, SignatureMissing and StateUnavailable.
        """
        if self._signed.asks:
            await self._signed.check_unsigned(command)
        if wait > _NOW and not self.stopping.is_set():
            try:
                return await self._commands.run_outcome(command, wait, waits=self._waits)
            except OutcomePending:
                return None
            except StateUnavailable:
                if not self.stopping.is_set():
                    raise
                # Stopped before the ledger answered. Submitting it again under its op_id has no
                # second effect.
        return (await self._commands.submit(command)).receipt.outcome

    async def run_many(
        self, commands: Sequence[Command], wait: timedelta, tokens: Sequence[str] = ()
    ) -> list[Ran]:
        """Do what `run` does for several commands; return the end of each, in order.

        `tokens` has the JWS of each that its author has signed, and '' for the others. All of
        those are accepted before any of these.
        """
        if any(tokens):
            return await self._run_signed(commands, wait, tokens)
        if not self._signed.asks:
            return await self._run_many(commands, wait)
        refused = await asyncio.gather(*map(self._refusal, commands))
        kept = [c for c, error in zip(commands, refused, strict=True) if error is None]
        ran = iter(await self._run_many(kept, wait) if kept else ())
        return [
            Ran(command, None, None, error) if error is not None else next(ran)
            for command, error in zip(commands, refused, strict=True)
        ]

    async def _refusal(self, command: Command) -> SignalboxError | None:
        """Why a command that nobody has signed may not be submitted; None if it may."""
        try:
            await self._signed.check_unsigned(command)
        except SignalboxError as error:
            return error
        return None

    async def _run_signed(
        self, commands: Sequence[Command], wait: timedelta, tokens: Sequence[str]
    ) -> list[Ran]:
        """Submit those that are signed, then the others, and wait for both."""
        pairs = list(zip(commands, tokens, strict=True))
        answers = await asyncio.gather(*(self._submitted(c, t) for c, t in pairs if t))
        submissions = [each for each in answers if isinstance(each, Submission)]
        others = [command for command, token in pairs if not token]
        rest, waited = await asyncio.gather(
            self.run_many(others, wait) if others else _none(), self._wait(submissions, wait)
        )
        unsigned, signed, ended = iter(rest), iter(answers), iter(waited)
        ends: list[Ran] = []
        for command, token in pairs:
            if not token:
                ends.append(next(unsigned))
                continue
            answer = next(signed)
            if isinstance(answer, SignalboxError):
                ends.append(Ran(command, None, None, answer))
            else:
                ends.append(next(ended))
        return ends

    async def _submitted(self, command: Command, token: str) -> Submission | SignalboxError:
        try:
            return await self._signed.submit(command, token)
        except SignalboxError as error:
            return error

    async def _wait(self, submissions: Sequence[Submission], wait: timedelta) -> list[Ran]:
        if not submissions or wait <= _NOW or self.stopping.is_set():
            return [_handed_over(submission) for submission in submissions]
        return await self._commands.wait_many(submissions, wait, waits=self._waits)

    async def _run_many(self, commands: Sequence[Command], wait: timedelta) -> list[Ran]:
        if wait > _NOW and not self.stopping.is_set():
            ran = await self._commands.run_many(commands, wait, waits=self._waits)
            if not self.stopping.is_set():
                return ran
            # Some may have been stopped before the ledger answered.
        return [_handed_over(each) for each in await self._commands.submit_many(commands)]

    async def record(self, ref: Ref) -> Record | None:
        """Return what the ledger knows of a command; None if it does not know it."""
        return await self._commands.record(ref)

    async def payload(
        self, chunks: AsyncIterator[bytes], *, size: int | None = None, sha256: str | None = None
    ) -> InlinePayload | StagedPayload:
        """Make the payload of a put from a body as it arrives; see `AsyncClient.payload`."""
        return await self._commands.payload(chunks, size=size, sha256=sha256)

    async def release(self, payload: InlinePayload | StagedPayload) -> None:
        """Remove the request's own copy of staged content, after the ledger has answered."""
        if isinstance(payload, StagedPayload):
            await self.call(lambda: self.client.content.release(payload))

    async def read(self, command: Command, after: str | None = None) -> Outcome:
        """Run a read in this process; see `Reads.run`."""
        return await self._reads.run(command, after)

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        """Open an object's content; see `Reads.stream`."""
        return await self._reads.stream(command, after)

    async def call(self, what: Callable[[], Answer], *, slow: bool = False) -> Answer:
        """Run a blocking function on a thread; `slow` ones have threads of their own."""
        threads = self._slow if slow else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, what)

    def stop(self) -> None:
        """End all waits for outcomes, so that their requests are answered."""
        self.stopping.set()
        for wait in self._waits:
            wait.stop()

    async def close(self) -> None:
        """Submit what is buffered, and disconnect."""
        await self._reads.close()
        try:
            await self._commands.close()
        except SignalboxError as error:
            # Those who sent them were told, or are gone.
            log.warning("commands of the buffer were not accepted", error=error.code)
        self._threads.shutdown(wait=False)
        self._slow.shutdown(wait=False)
        await asyncio.to_thread(self.client.close)


def _pool(threads: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, name, run_anywhere)


async def _none() -> list[Ran]:
    return []


def _handed_over(submission: Submission) -> Ran:
    outcome, error = submission.receipt.outcome, submission.refusal()
    return Ran(submission.command, submission, outcome, error)
