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
        self.registry = Registry(self.client.state, trust_of(settings))
        self.stopping = asyncio.Event()
        """Set when the gateway is told to stop."""
        self._commands = AsyncClient(client=self.client, limits=replace(LIMITS, linger=own.linger))
        self._reads = Reads(self._commands)
        self._threads = _pool(THREADS, "gateway-call")
        self._slow = _pool(SLOW_THREADS, "gateway-slow")
        self._waits: set[AwaitedOutcome] = set()
        """The current waits for outcomes."""

    async def run(self, command: Command, wait: timedelta) -> Outcome | None:
        """Submit a command and wait.

        Return None if it is still running after `wait`, or when the gateway stops. Raises
        OpIdReused, RateLimited, ReservedStream and StateUnavailable.
        """
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

    async def run_many(self, commands: Sequence[Command], wait: timedelta) -> list[Ran]:
        """Do what `run` does for several commands; return the end of each, in order."""
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


def _handed_over(submission: Submission) -> Ran:
    outcome, error = submission.receipt.outcome, submission.refusal()
    return Ran(submission.command, submission, outcome, error)
