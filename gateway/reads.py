"""Reads in the gateway's own process, without the queue or writes, by the rules of a worker.

A read takes a permit, is looked up together with others (`read_admission.py`), and passes through
the steps of `workers/executor.py` between claim and finish (`read_scheduler.py`), with the same
route cache, admission, breakers and adapters.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from signalbox.commands.clock import lease_clock
from signalbox.commands.error import InvalidCommand, LeaseExpired, SignalboxError, SlotsTaken
from signalbox.commands.ledger.staged import Deployment
from signalbox.commands.model import OP_ID_PATTERN, Command
from signalbox.commands.object_store import GetObject
from signalbox.commands.one_core import run_anywhere
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.ref import make_ref
from signalbox.commands.routing import ControlCommand
from signalbox.gateway.fair_semaphore import FairSemaphore
from signalbox.gateway.open_content import Content, Opened
from signalbox.gateway.read_admission import ReadAdmission
from signalbox.gateway.read_scheduler import Calls, Read, ReadScheduler
from signalbox.producers.client.async_client import AsyncClient
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.workers.execution.adapter_pool import AdapterPool, typed
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.outcome_builder import outcome_of
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch

_OP_ID = re.compile(OP_ID_PATTERN, re.ASCII)


@dataclass(frozen=True)
class ReadLimits:
    """Limits of a process' reads."""

    threads: int = 32
    """Maximum number of concurrent calls to backends; half of them for one tenant."""
    streams: int = 256
    """Maximum number of open contents, each of which uses resources of its backend; half of them
    for one tenant."""
    timeout: timedelta = timedelta(seconds=30)
    """A content is closed if its client does not take a part for this long."""
    longest: timedelta = timedelta(hours=1)
    """A content is closed after this time in any case."""


class Reads:
    """Runs reads as a worker does, in this process.

    One per process; for tasks of any event loop.
    """

    def __init__(self, client: AsyncClient, limits: ReadLimits | None = None) -> None:
        """`client` provides the state and waits for commands. Its owner closes it, after this."""
        self._client = client
        self._limits = limits or ReadLimits()
        settings, state = client.client.settings, client.client.state
        self._lease = settings.lease.total_seconds()
        self._worker = f"gateway@{socket.gethostname()}"
        payloads = DirectoryPayloadStore(
            settings.payload_dir or Path(".signalbox/payloads"), Deployment(state)
        )
        self._adapters = AdapterPool(payloads, settings.inline_limit_bytes, threads=1)
        self._breakers = Breakers(state, self._worker)
        self._admission = ReadAdmission(state, settings, self._breakers)
        inboxes = Inboxes()
        self._permits = FairSemaphore(self._limits.threads, inboxes)
        self._open = FairSemaphore(self._limits.streams, inboxes)
        self._threads = ThreadPoolExecutor(
            self._limits.threads + 1, "gateway-read", initializer=run_anywhere
        )
        self._calls, self._opening = Calls(self._call), Calls(self._open_content, self._open_many)
        self._scheduler = ReadScheduler(
            self._admission.admit_many, self._permits, self._threads, inboxes
        )

    async def run(self, command: Command, after: str | None = None) -> Outcome:
        """Run a read now; return its outcome, which may be an error.

        `after` is an op_id of the same tenant and env: the read begins when that command has its
        outcome, whatever it is. A temporary error is returned and not retried. The outcome's `seq`
        is 0 and its `op_id` is meaningless, since no ledger has it. Raises InvalidCommand if the
        command is not a read or `after` is unknown, OutcomePending if that command has no outcome
        within the lease time, and StateUnavailable.
        """
        _check(command)
        await self._await_predecessor(command, after)
        ended, _ = await self._read(command, self._lease, self._calls)
        return outcome_of(ended, self._worker)

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        """Open an object's content directly from its backend.

        Raises what `run` would return as an error: NotFound, InvalidCommand (a range past the end),
        RouteNotFound, and so on.
        """
        await self._await_predecessor(command, after)
        tenant_id = command.tenant_id
        await self._acquire(self._open, command, "its open contents")
        try:
            longest = self._limits.longest.total_seconds()
            ended, opened = await self._read(command, longest, self._opening)
            if ended.error is not None:
                raise ended.error.at(kind=command.kind, tenant_id=tenant_id, env=command.env)
        except BaseException:
            self._open.release(tenant_id)
            raise
        assert opened is not None  # noqa: S101 - set if there is no error
        assert ended.route is not None  # noqa: S101 - content was opened on a route
        return Content(
            opened,
            backend_type=ended.route.backend_type,
            route_revision=ended.route.revision,
            take_seconds=self._limits.timeout.total_seconds(),
            read=partial(self._next_part, command, ended, opened),
            threads=self._threads,
            left=partial(self._open.release, tenant_id),
        )

    async def close(self) -> None:
        """Wait for the current calls, and close the backends."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._scheduler.close()
        self._threads.shutdown()
        self._admission.close()
        self._adapters.close()

    async def _await_predecessor(self, command: Command, after: str | None) -> None:
        if after is None:
            return
        if not _OP_ID.fullmatch(after):
            raise InvalidCommand("that is no op_id", next_step="read behind one that was given")
        ref = make_ref(command.tenant_id, command.env, after)
        await self._client.ended(ref, timedelta(seconds=self._lease))

    async def _acquire(self, permits: FairSemaphore, command: Command, what: str) -> None:
        """Wait for a permit, for at most the lease time. Raises SlotsTaken."""
        if permits.try_acquire(command.tenant_id):
            return
        try:
            async with asyncio.timeout(self._lease):
                await permits.acquire(command.tenant_id)
        except TimeoutError:
            raise _no_permit(command, what) from None

    async def _read(self, command: Command, seconds: float, calls: Calls) -> Read:
        """Run a read whose call may take `seconds`; this waits at most the lease time for it."""
        await self._acquire(self._permits, command, "its slow reads")
        try:
            return await self._scheduler.run(command, seconds, calls, self._lease)
        except TimeoutError:
            raise _late(command, self._lease) from None

    def _call(self, item: Admitted) -> Read:
        [ended] = self._breakers.run([item], self._adapters.run, _nothing_early)
        return ended, None

    def _open_content(self, item: Admitted) -> Read:
        [read] = self._open_many([item])
        return read

    def _open_many(self, items: Sequence[Admitted]) -> list[Read]:
        opened: dict[int, Opened] = {}

        def run(gated: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
            ends = watch.begin(gated) if gated else []
            if ends or not gated:
                return ends
            for item, answer in zip(gated, self._adapters.answers(gated, Opened), strict=True):
                if isinstance(answer, SignalboxError):
                    ends.append(Ended(item.claimed, item.route, error=answer))
                else:
                    opened[id(item.claimed)] = answer
                    ends.append(Ended(item.claimed, item.route, result={}))
            watch.ended(ends)
            return ends

        ended = {id(end.claimed): end for end in self._breakers.run(items, run, _nothing_early)}
        return [(ended[id(i.claimed)], opened.get(id(i.claimed))) for i in items]

    async def _next_part(self, command: Command, ended: Ended, opened: Opened) -> bytes:
        if lease_clock() > ended.claimed.deadline:
            raise _late(command, self._limits.longest.total_seconds())
        await self._acquire(self._permits, command, "its slow reads")
        # The permit is freed when the call has ended, whether or not its task still waits for it.
        job = self._threads.submit(_part, opened, ended)
        job.add_done_callback(lambda _: self._permits.release(command.tenant_id))
        try:
            async with asyncio.timeout(self._lease):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise _late(command, self._lease) from None


def _check(command: Command) -> None:
    if command.writes or isinstance(command, ControlCommand):
        raise InvalidCommand(
            f"{command.op} is no read of data",
            kind=command.kind,
            tenant_id=command.tenant_id,
            env=command.env,
            next_step="submit it as a command",
        )


def _part(opened: Opened, ended: Ended) -> bytes:
    try:
        return opened.read()
    except Exception as error:
        raise typed(error, ended) from error


def _nothing_early(_: Sequence[Ended]) -> None:
    """Ignore early ends: a read ends as a whole."""


def _no_permit(command: Command, what: str) -> SlotsTaken:
    error = SlotsTaken(
        f"{what} hold the tenant's share of the gateway",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step="read it again later; look for what is slow, or start more gateways",
    )
    error.retry_after = 5.0
    return error


def _late(command: Command, seconds: float) -> LeaseExpired:
    return LeaseExpired(
        f"it took longer than {seconds:g} s",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step="read it again; see `signalbox routes check` if it stays so",
    )
