"""Reads that run in the gateway: no queue, no write to the state, the rules of a worker.

A read takes a seat, looks at fences, policy and rate in one round trip (`read_claim.py`), and goes
through the steps of `workers/executor.py` between claim and finish: the same route cache,
admission, breakers and adapters.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from commands.clock import lease_clock
from commands.error import InvalidCommand, LeaseExpired, RateLimited, SignalboxError, SlotsTaken
from commands.ledger.staged import Deployment
from commands.model import OP_ID_PATTERN, Command
from commands.object_store import GetObject
from commands.outcome import Outcome
from commands.payload import DirectoryPayloadStore
from commands.routing import ControlCommand
from commands.state import connect
from gateway.open_content import Content, Opened
from gateway.read_claim import claim_reads
from gateway.read_rate import ReadRates
from gateway.seats import Seats
from producers.async_client import AsyncClient
from producers.inbox import Inboxes
from producers.together import Together
from routing.cache import RouteCache
from routing.log import EventLog
from routing.registry import Registry
from routing.tail import RouteTail
from workers.adapter_pool import AdapterPool, typed
from workers.admission import admit
from workers.breaker import Breakers
from workers.evidence import withhold
from workers.outcome import outcome_of
from workers.resolve import resolve
from workers.stage import Admitted, Early, Ended, Watch

Answer = TypeVar("Answer")
Read = tuple[Ended, Opened | None]
"""What came of a read, and its content where it was opened."""
_OP_ID = re.compile(OP_ID_PATTERN, re.ASCII)


@dataclass(frozen=True)
class ReadLimits:
    """How much of a process reads may hold."""

    threads: int = 32
    """Calls to backends at a time; a tenant has at most half of them."""
    streams: int = 256
    """Contents that are open at a time, each with what its backend holds for it; a tenant has at
    most half of them."""
    patience: timedelta = timedelta(seconds=30)
    """A part of a content that its client does not take for so long ends it,"""
    longest: timedelta = timedelta(hours=1)
    """and so does the whole of it that takes longer."""


class Reads:
    """Runs reads as a worker does, in this process. One a process; for tasks of any loop."""

    def __init__(self, client: AsyncClient, limits: ReadLimits | None = None) -> None:
        """`client` tells where the state is, and when a command that is read behind has ended. It
        is closed by its owner, behind this."""
        self._client = client
        self._limits = limits or ReadLimits()
        settings, state = client.client.settings, client.client.state
        self._lease = settings.lease.total_seconds()
        self._state = state
        self._worker = f"gateway@{socket.gethostname()}"
        self._registry = Registry(state)
        self._routes = RouteCache(self._registry, self._registry.policies)
        self._tail = RouteTail(self._routes, EventLog(connect(settings.state_url)))
        self._tail.start()
        payloads = DirectoryPayloadStore(
            settings.payload_dir or Path(".signalbox/payloads"), Deployment(state)
        )
        self._adapters = AdapterPool(payloads, settings.inline_limit_bytes, threads=1)
        self._breakers = Breakers(state, self._worker)
        self._rates = ReadRates()
        inboxes = Inboxes()
        self._seats = Seats(self._limits.threads, inboxes)
        self._open = Seats(self._limits.streams, inboxes)
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="gateway-read")
        self._look_up = ThreadPoolExecutor(1, thread_name_prefix="gateway-look")
        self._looks = Together[tuple[Command, float], Admitted | Ended](
            self._admit_many, self._look_up, inboxes
        )

    async def run(self, command: Command, after: str | None = None) -> Outcome:
        """What the command would answer through the queue, now: a result, or an error as data.

        `after` is an op_id of the same tenant and env: the read begins when that command has its
        outcome, whatever it is. What a worker would try again or let wait (`temporary`) is told at
        once. `seq` is 0 and `op_id` means nothing: no ledger has it. Raises InvalidCommand if the
        command is no read or `after` is not known, OutcomePending if that has no outcome within
        the lease, StateUnavailable.
        """
        _check(command)
        await self._behind(command, after)
        ended, _ = await self._read(command, self._lease, self._call)
        return outcome_of(ended, self._worker)

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        """The object, straight from its backend.

        Raises what `run` tells as data: NotFound, InvalidCommand (a range past the end),
        RouteNotFound, and so on, each with its code and status.
        """
        await self._behind(command, after)
        tenant_id = command.tenant_id
        try:
            async with asyncio.timeout(self._lease):
                await self._open.take(tenant_id)
        except TimeoutError:
            raise _no_seat(command, "its open contents") from None
        try:
            longest = self._limits.longest.total_seconds()
            ended, opened = await self._read(command, longest, self._open_content)
            if ended.error is not None:
                raise ended.error.at(kind=command.kind, tenant_id=tenant_id, env=command.env)
        except BaseException:
            self._open.leave(tenant_id)
            raise
        assert opened is not None  # noqa: S101 - it is there where there is no error
        assert ended.route is not None  # noqa: S101 - what was opened has one
        return Content(
            opened,
            backend_type=ended.route.backend_type,
            route_revision=ended.route.revision,
            patience=self._limits.patience.total_seconds(),
            read=partial(self._next_part, command, ended, opened),
            threads=self._threads,
            left=partial(self._open.leave, tenant_id),
        )

    async def close(self) -> None:
        """Let the calls that are under way end, and give back the backends."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._look_up.shutdown()
        self._threads.shutdown()
        self._tail.stop()
        self._adapters.close()

    async def _behind(self, command: Command, after: str | None) -> None:
        if after is None:
            return
        if not _OP_ID.fullmatch(after):
            raise InvalidCommand("that is no op_id", next_step="read behind one that was given")
        ref = f"{command.tenant_id}/{command.env}/{after}"
        await self._client.ended(ref, timedelta(seconds=self._lease))

    async def _read(
        self, command: Command, seconds: float, call: Callable[[Admitted], Read]
    ) -> Read:
        """What comes of the read; its call to the backend may go on for so many seconds, but this
        waits for it no longer than a lease."""
        tenant_id = command.tenant_id
        seated = False
        try:
            async with asyncio.timeout(self._lease):
                await self._seats.take(tenant_id)
                seated = True
                try:
                    found = await self._looks.ask((command, seconds))
                except BaseException:
                    self._seats.leave(tenant_id)
                    raise
                if isinstance(found, Ended):
                    self._seats.leave(tenant_id)
                    return found, None
                return await self._in_seat(tenant_id, partial(call, found), _discard)
        except TimeoutError:
            if not seated:
                raise _no_seat(command, "its slow reads") from None
            raise _late(command, self._lease) from None

    async def _in_seat(
        self,
        tenant_id: str,
        call: Callable[[], Answer],
        discard: Callable[[Future[Answer]], None] | None = None,
    ) -> Answer:
        """Call on a thread, and give the seat back when the call has ended: a task that no longer
        waits leaves it behind. `discard` is told of an answer that nobody takes."""
        job = self._threads.submit(call)
        job.add_done_callback(lambda _: self._seats.leave(tenant_id))
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if discard is not None:
                job.add_done_callback(discard)
            raise

    def _admit_many(self, asked: Sequence[tuple[Command, float]]) -> list[Admitted | Ended]:
        """Which of the reads may run, each with its route; the ends of the others."""
        seen = self._routes.position
        found = claim_reads(self._state, [c for c, _ in asked], [s for _, s in asked])
        claims, ended = withhold(found.claims)
        routed, unrouted = resolve(claims, seen, self._routes, self._registry)
        ended += unrouted
        admitted: list[Admitted] = []
        for each in routed:
            try:
                admitted.append(admit(each))
            except SignalboxError as error:
                ended.append(Ended(each.claimed, each.route, error=error))
        awake, resting = self._breakers.screen(admitted)
        ended += resting
        ready: list[Admitted] = []
        for item in awake:
            command = item.claimed.command
            try:
                self._rates.check(item, found.buckets[command.tenant_id, command.env])
                ready.append(item)
            except RateLimited as error:
                ended.append(Ended(item.claimed, item.route, error=error))
        by_claim: dict[int, Admitted | Ended] = {id(each.claimed): each for each in ended}
        by_claim |= {id(item.claimed): item for item in ready}
        return [by_claim[id(claimed)] for claimed in found.claims.claimed]

    def _call(self, item: Admitted) -> Read:
        [ended] = self._breakers.run([item], self._adapters.run, _nothing_early)
        return ended, None

    def _open_content(self, item: Admitted) -> Read:
        opened: list[Opened] = []

        def run(items: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
            if ends := watch.begin(items):
                return ends
            try:
                opened.append(self._adapters.answer(item, Opened))
                end = Ended(item.claimed, item.route, result={})
            except SignalboxError as error:
                end = Ended(item.claimed, item.route, error=error)
            watch.ended([end])
            return [end]

        [ended] = self._breakers.run([item], run, _nothing_early)
        return ended, opened[0] if opened else None

    async def _next_part(self, command: Command, ended: Ended, opened: Opened) -> bytes:
        if lease_clock() > ended.claimed.deadline:
            raise _late(command, self._limits.longest.total_seconds())
        try:
            async with asyncio.timeout(self._lease):
                await self._seats.take(command.tenant_id)
                return await self._in_seat(command.tenant_id, partial(_part, opened, ended))
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


def _discard(job: Future[Read]) -> None:
    """Close what was opened for a task that is gone."""
    if not job.cancelled() and job.exception() is None:
        opened = job.result()[1]
        if opened is not None:
            opened.close()


def _nothing_early(_: Sequence[Ended]) -> None:
    """One read ends as a whole."""


def _no_seat(command: Command, what: str) -> SlotsTaken:
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
