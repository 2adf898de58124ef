"""Runs admitted commands on their adapters: one adapter a route revision, keys side by side."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.reach import Boundary
from signalbox.commands.error import InternalError, SignalboxError
from signalbox.commands.fault import reach
from signalbox.commands.ledger.row import batched
from signalbox.commands.payload import PayloadStore
from signalbox.commands.scope import Mode
from signalbox.workers.execution.fair_threads import FairThreads
from signalbox.workers.execution.flow import Flow, Job
from signalbox.workers.execution.lease_progress import Progress, Renew
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch
from signalbox.workers.execution.result_json import to_result
from signalbox.workers.execution.steps import in_lanes

log = structlog.get_logger("signalbox.worker")

Answer = TypeVar("Answer")

MAX_READ = 50
"""Reads in one call of a bulk form: each answer may hold an open file."""
MAX_OPEN = 1024
"""Adapters kept open in a process."""

AdapterKey = tuple[str, str, Mode]
"""Route, its fence, and the mode: what an adapter is for."""
EARLY_SECONDS = 0.15
"""What has ended by then need not wait for the others of its message; asked again after twice as
long each time, at most EARLY_LONGEST."""
EARLY_LONGEST = 2.0

Chain = list[Admitted]
"""Commands of one order key, as accepted: the next may run only when the one before ended."""


Key = tuple[str, str, str]
"""Tenant, env and order key."""


@dataclass(frozen=True)
class _Run:
    """One message's commands while they run. Thread-safe, since `deque` and `set` are."""

    watch: Watch
    ends: deque[Ended] = field(default_factory=deque)
    stopped: set[Key] = field(default_factory=set)
    """Keys of which a write comes again: what is behind it must not run before."""

    def note(self, items: Sequence[Admitted], ended: Sequence[Ended]) -> None:
        for item, end in zip(items, ended, strict=True):
            if end.may_change and (key := key_of(item)):
                self.stopped.add(key)
        self.ends.extend(ended)

    def taken(self) -> list[Ended]:
        """What has ended since it was asked last, of each key in order."""
        return [self.ends.popleft() for _ in range(len(self.ends))]


class AdapterPool:
    """The adapters of a process, and the threads on which commands of different keys run."""

    def __init__(
        self,
        payloads: PayloadStore,
        inline_limit: int,
        threads: int = 16,
        renew: Renew | None = None,
    ) -> None:
        """`renew` moves on the leases of commands; None: they have none that could be."""
        self._payloads = payloads
        self._renew = renew
        self._limit = inline_limit
        self._crew = FairThreads(threads)
        self._open: OrderedDict[AdapterKey, tuple[Any, Boundary]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, admitted: Sequence[Admitted], watch: Watch, early: Early) -> list[Ended]:
        """Run all of them; an end for each, of which `early` gets those that came much sooner.

        Commands on one key run in accepted order, and stop at one whose end is still open (a
        temporary error): those behind it are not attempted. Reads stand behind the writes of the
        message that they could see (`in_lanes`).
        """
        if not admitted:
            return []
        run = _Run(watch)
        lanes, jobs_of = in_lanes(admitted), partial(self._jobs, run)
        if len(lanes) == len(lanes[0]) == 1:
            jobs = jobs_of(admitted)
            if len(jobs) == 1 and not _is_chain(admitted):
                # One call, of which nothing ends before the rest.
                jobs[0][0]()
                return run.taken()
            jobs_of = partial(_given, jobs)
        flow = Flow(self._submit, lanes, jobs_of)
        flow.start()
        pause = EARLY_SECONDS
        while not flow.ended(pause):
            if ended := run.taken():
                early(ended)
            self._crew.look()
            pause = min(2 * pause, EARLY_LONGEST)
        return run.taken()

    def _jobs(self, run: _Run, items: Sequence[Admitted]) -> list[Job[Admitted]]:
        """What may run side by side: one key's commands each, or one call of many."""
        chains: dict[Any, Chain] = {}
        for number, item in enumerate(items):
            chains.setdefault(key_of(item) or number, []).append(item)
        jobs: list[Job[Admitted]] = []
        bulks: dict[tuple[str, str, Mode, str], list[Admitted]] = {}
        for key, chain in chains.items():
            if key not in run.stopped and _fits_bulk(chain):
                verb = chain[0].claimed.command.verb
                bulks.setdefault((*_place(chain[0]), verb), []).extend(chain)
            else:
                jobs.append((partial(self._run_chain, chain, run), chain))
        for bulk in bulks.values():
            for group in batched(bulk, len(bulk) if _writes(bulk) else MAX_READ):
                run_it = self._run_chain if len(group) == 1 else self._run_bulk
                jobs.append((partial(run_it, [*group], run), group))
        return jobs

    def close(self) -> None:
        """End the threads and give back every adapter."""
        self._crew.close()
        with self._lock:
            while self._open:
                self._open.popitem()[1][0].close()

    def _submit(self, call: Callable[[], None], items: Sequence[Admitted]) -> None:
        self._crew.submit(items[0].claimed.command.tenant_id, call)

    def _run_chain(self, chain: Chain, run: _Run) -> None:
        for item in chain:
            if key_of(item) in run.stopped:
                run.ends.append(Ended(item.claimed, item.route))
            else:
                self._run_one(item, run)

    def _run_one(self, item: Admitted, run: _Run) -> None:
        ended = run.watch.begin([item])
        if not ended:
            ended = [self._call_one(item, run.watch)]
            run.watch.ended(ended)
        run.note([item], ended)

    def answer(self, item: Admitted, use: Callable[[Any], Answer]) -> Answer:
        """What is made by `use` of the adapter's own answer to one command, such as an open
        `ObjectStream`. Raises the error of either, typed."""
        try:
            return use(self._answer(item, self._call(item)))
        except Exception as error:
            raise typed(error, item) from error

    def answers(
        self, items: Sequence[Admitted], use: Callable[[Any], Answer]
    ) -> list[Answer | SignalboxError]:
        """The same of many, which are `is_alike`."""
        try:
            if len(items) == 1:
                return [self.answer(items[0], use)]
            found = self._bulk(items, [self._call(item) for item in items])
        except Exception as error:  # noqa: BLE001 - the end of each of them
            return [typed(error, item) for item in items]
        return [_used(item, answer, use) for item, answer in zip(items, found, strict=True)]

    def _bulk(self, group: Sequence[Admitted], calls: Sequence[Call]) -> list[Any]:
        method = getattr(self._adapter(group[0]), f"{group[0].claimed.command.verb}_many")
        for item in group:
            reach("command.before", item.claimed.command.subject)
        answers: list[Any] = method(
            [(item.claimed.command, call) for item, call in zip(group, calls, strict=True)]
        )
        return answers

    def _answer(self, item: Admitted, call: Call) -> Any:
        command = item.claimed.command
        method = getattr(self._adapter(item), command.verb)
        reach("command.before", command.subject)
        answer = method(command, call)
        reach("batch.middle", command.subject)
        return answer

    def _call_one(self, item: Admitted, watch: Watch) -> Ended:
        try:
            call = self._call(item)
            return self._ended(item, call, self._answer(item, call), watch)
        except Exception as error:  # noqa: BLE001 - the end of this command, not of its neighbours
            return Ended(item.claimed, item.route, error=typed(error, item))

    def _run_bulk(self, group: list[Admitted], run: _Run) -> None:
        ended = run.watch.begin(group)
        if not ended:
            ended = self._call_bulk(group, run.watch)
            run.watch.ended(ended)
        run.note(group, ended)

    def _call_bulk(self, group: list[Admitted], watch: Watch) -> list[Ended]:
        try:
            calls = [self._call(item) for item in group]
            answers = self._bulk(group, calls)
        except Exception as error:  # noqa: BLE001 - the end of this call's commands alone
            return [Ended(i.claimed, i.route, error=typed(error, i)) for i in group]
        return [
            self._ended_in_bulk(item, call, answer, watch)
            for item, call, answer in zip(group, calls, answers, strict=True)
        ]

    def _ended_in_bulk(self, item: Admitted, call: Call, answer: Any, watch: Watch) -> Ended:
        error = answer
        if not isinstance(answer, SignalboxError):
            try:
                return self._ended(item, call, answer, watch)
            except Exception as raised:  # noqa: BLE001 - such as a content that breaks off
                error = raised
        return Ended(item.claimed, item.route, error=typed(error, item))

    def _ended(self, item: Admitted, call: Call, answer: Any, watch: Watch) -> Ended:
        moved = Progress(item, call, watch, self._renew)
        result = to_result(answer, self._payloads, self._limit, moved)
        return Ended(item.claimed, item.route, result=result, growth=call.growth)

    def _call(self, item: Admitted) -> Call:
        claimed = item.claimed
        return Call(
            mark=str(claimed.mark),
            seq=claimed.seq,
            takeover=claimed.takeover,
            deadline=claimed.deadline,
            payloads=self._payloads,
            measured=(item.quotas.objects, item.quotas.bytes) != (None, None),
        )

    def _adapter(self, item: Admitted) -> Any:
        place = _place(item)
        with self._lock:
            kept = self._open.get(place)
            if kept is not None:
                self._open.move_to_end(place)
        if kept is None:
            scope, config = item.route.scope, item.route.config
            adapter = item.backend.open(AdapterContext(scope, item.mode, config))
            kept = self._keep(place, (adapter, item.backend.boundary(scope, config)))
        adapter, boundary = kept
        # A link or a name may lead elsewhere since.
        boundary.check()
        return adapter

    def _keep(self, place: AdapterKey, opened: tuple[Any, Boundary]) -> tuple[Any, Boundary]:
        with self._lock:
            kept = self._open.setdefault(place, opened)
            if len(self._open) > MAX_OPEN:
                # Not closed: another thread may be using it. It goes when nobody does.
                self._open.popitem(last=False)
        return kept


def is_alike(item: Admitted) -> tuple[str, str, Mode, str] | None:
    """The same for commands that one call of a bulk form may answer; None: there is none."""
    verb = item.claimed.command.verb
    return (*_place(item), verb) if verb in item.backend.bulk_verbs else None


def _used(item: Admitted, answer: Any, use: Callable[[Any], Answer]) -> Answer | SignalboxError:
    try:
        if isinstance(answer, SignalboxError):
            raise answer
        return use(answer)
    except Exception as error:  # noqa: BLE001 - the end of this one alone
        return typed(error, item)


def _writes(group: Sequence[Admitted]) -> bool:
    return group[0].claimed.command.writes


def key_of(item: Admitted | Ended) -> Key | None:
    command = item.claimed.command
    order = command.order_key
    return (command.tenant_id, command.env, order) if order else None


def _is_chain(items: Sequence[Admitted]) -> bool:
    """Whether these commands of one job may be calls one after the other, all of one key."""
    key = key_of(items[0])
    return len(items) > 1 and key is not None and key == key_of(items[-1])


def _given(jobs: list[Job[Admitted]], _: Sequence[Admitted]) -> list[Job[Admitted]]:
    return jobs


def _fits_bulk(chain: Chain) -> bool:
    first = chain[0]
    verb = first.claimed.command.verb
    if len(chain) == 1:
        return verb in first.backend.bulk_verbs | first.backend.ordered_bulk_verbs
    return verb in first.backend.ordered_bulk_verbs and all(
        item.claimed.command.verb == verb and _place(item) == _place(first) for item in chain
    )


def _place(item: Admitted) -> tuple[str, str, Mode]:
    return (item.route.scope.field, item.route.fence, item.mode)


def typed(error: Exception, item: Admitted | Ended) -> SignalboxError:
    """The error of a call to the item's backend, as whoever asked for it is told."""
    assert item.route is not None  # noqa: S101 - what came to a backend has one
    scope = item.route.scope
    if not isinstance(error, SignalboxError):
        log.error("adapter failed unexpectedly", exc_info=error, op=item.claimed.command.op)
        error = InternalError(
            f"{type(error).__name__} in the adapter",
            next_step="see the worker's log; it is tried again",
        )
    return error.at(
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        backend_type=item.route.backend_type,
    )
