"""What the handlers stand on: writes through the buffer, reads here, the registry on threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from signalbox.commands.error import OutcomePending, StateUnavailable
from signalbox.commands.ledger.entry import Record
from signalbox.commands.model import Command
from signalbox.commands.object_store import GetObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.ref import Ref
from signalbox.commands.settings import Settings
from signalbox.gateway.open_content import Content
from signalbox.gateway.reads import Reads
from signalbox.gateway.settings import GatewaySettings
from signalbox.producers.client.async_client import LIMITS, AsyncClient
from signalbox.producers.client.awaited_command import Told
from signalbox.producers.client.client import Client
from signalbox.producers.client.run_result import Ran
from signalbox.producers.client.submission import Submission
from signalbox.routing.registry.registry import Registry

Answer = TypeVar("Answer")

THREADS = 16
"""For calls about routes, policies and dead letters, which operators make."""
SLOW_THREADS = 8
"""For those that wait for workers."""
_NOW = timedelta(0)


class Desk:
    """One a process. Made in the event loop that serves."""

    def __init__(self, settings: Settings, own: GatewaySettings) -> None:
        self.settings, self.own = settings, own
        self.client = Client(settings)
        self.registry = Registry(self.client.state)
        self.stopping = asyncio.Event()
        """Set when the gateway is told to stop."""
        self._commands = AsyncClient(client=self.client, limits=replace(LIMITS, linger=own.linger))
        self._reads = Reads(self._commands)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gateway-call")
        self._slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="gateway-slow")
        self._waits: set[Told] = set()
        """For outcomes."""

    async def run(self, command: Command, wait: timedelta) -> Outcome | None:
        """Hand over and wait; None if it is in the ledger and goes on when `wait` is over, or the
        gateway stops. Raises OpIdReused, RateLimited, ReservedStream, StateUnavailable."""
        if wait > _NOW and not self.stopping.is_set():
            try:
                return await self._commands.run_outcome(command, wait, waits=self._waits)
            except OutcomePending:
                return None
            except StateUnavailable:
                if not self.stopping.is_set():
                    raise
                # Stopped before the ledger had answered. Under its op_id it is taken once, however
                # often it is handed over.
        return (await self._commands.submit(command)).receipt.outcome

    async def run_many(self, commands: Sequence[Command], wait: timedelta) -> list[Ran]:
        """The same of many, in order: of each what became of it."""
        if wait > _NOW and not self.stopping.is_set():
            ran = await self._commands.run_many(commands, wait, waits=self._waits)
            if not self.stopping.is_set():
                return ran
            # Some may have been stopped before the ledger had answered.
        return [_handed_over(each) for each in await self._commands.submit_many(commands)]

    async def record(self, ref: Ref) -> Record | None:
        """What the ledger knows of a command."""
        return await self._commands.record(ref)

    async def payload(
        self, chunks: AsyncIterator[bytes], *, size: int | None = None, sha256: str | None = None
    ) -> InlinePayload | StagedPayload:
        """The content of a put, from a body as it arrives; see `AsyncClient.payload`."""
        return await self._commands.payload(chunks, size=size, sha256=sha256)

    async def release(self, payload: InlinePayload | StagedPayload) -> None:
        """Give up the content of a put that the ledger has answered."""
        if isinstance(payload, StagedPayload):
            await self.call(lambda: self.client.content.release(payload))

    async def read(self, command: Command, after: str | None = None) -> Outcome:
        """What the read answers now; see `Reads.run`."""
        return await self._reads.run(command, after)

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        """An object's content; see `Reads.stream`."""
        return await self._reads.stream(command, after)

    async def call(self, what: Callable[[], Answer], *, slow: bool = False) -> Answer:
        """Run what blocks on a thread; what is `slow` holds up nothing but its like."""
        threads = self._slow if slow else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, what)

    def stop(self) -> None:
        """Let who waits for an outcome answer with what there is."""
        self.stopping.set()
        for wait in self._waits:
            wait.stop()

    async def close(self) -> None:
        """Hand over what is held, and disconnect."""
        await self._reads.close()
        await self._commands.close()
        self._threads.shutdown(wait=False)
        self._slow.shutdown(wait=False)
        await asyncio.to_thread(self.client.close)


def _handed_over(submission: Submission) -> Ran:
    outcome, error = submission.receipt.outcome, submission.refusal()
    return Ran(submission.command, submission, outcome, error)
