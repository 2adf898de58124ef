"""Adapter pool: runs admitted commands on their adapters, different order keys in parallel.

There is one open adapter for each route revision and mode.
"""

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
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.payload import PayloadStore
from signalbox.commands.scope import Mode
from signalbox.workers.execution.fair_threads import FairThreads
from signalbox.workers.execution.lease_extension import Progress, Renew
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch
from signalbox.workers.execution.read_write_order import split_into_sequences
from signalbox.workers.execution.result_json import to_result
from signalbox.workers.execution.step_scheduler import Job, StepScheduler

log = structlog.get_logger("signalbox.worker")

Answer = TypeVar("Answer")

MAX_READ = 50
"""Maximum number of reads in one bulk call: each answer may hold an open file."""
MAX_OPEN = 1024
"""Maximum number of open adapters in a process."""

AdapterKey = tuple[str, str, Mode]
"""Identifies an adapter: scope, fence of the route, and mode."""
EARLY_SECONDS = 0.15
"""After this time, commands that have ended are finished before the others of their message.

The next check follows after twice the time, at most EARLY_LONGEST.
"""
EARLY_LONGEST = 2.0
"""Maximum seconds between two such checks."""

Chain = list[Admitted]
"""Commands of one order key, as accepted: each may run only when the one before it has ended."""


Key = tuple[str, str, str]
"""Tenant, env and order key."""


@dataclass(frozen=True)
class _Run:
    """The commands of one message while they run. Thread-safe, since `deque` and `set` are."""

    watch: Watch
    """Told of the beginning, progress and end of calls."""
    ends: deque[Ended] = field(default_factory=deque)
    """Ends that were not taken yet."""
    stopped: set[Key] = field(default_factory=set)
    """Keys with a write that will be retried: later commands of the key must not run before it."""

    def note(self, items: Sequence[Admitted], ended: Sequence[Ended]) -> None:
        """Record the ends of these commands."""
        for item, end in zip(items, ended, strict=True):
            if end.may_change and (key := key_of(item)):
                self.stopped.add(key)
        self.ends.extend(ended)

    def taken(self) -> list[Ended]:
        """Return the ends since the last call, in order for each key."""
        return [self.ends.popleft() for _ in range(len(self.ends))]


class AdapterPool:
    """The open adapters of a process, and the threads on which commands run."""

    def __init__(
        self,
        payloads: PayloadStore,
        inline_limit: int,
        threads: int = 16,
        renew: Renew | None = None,
    ) -> None:
        """`inline_limit` is the largest content in bytes that a result carries inline.

        `renew` extends the leases of commands; None if they have none.
        """
        self._payloads = payloads
        self._renew = renew
        self._limit = inline_limit
        self._crew = FairThreads(threads)
        self._open: OrderedDict[AdapterKey, tuple[Any, Boundary]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, admitted: Sequence[Admitted], watch: Watch, early: Early) -> list[Ended]:
        """Run all commands and return their ends, except those that were passed to `early`.

        `early` gets the ends that came while other commands still ran. Commands of one key run in
        accepted order; after one that must be retried (a temporary error) the later ones of its key
        are not attempted. Reads run after the writes of the same message that they could see
        (`split_into_sequences`).
        """
        if not admitted:
            return []
        run = _Run(watch)
        sequences, jobs_of = split_into_sequences(admitted), partial(self._jobs, run)
        if len(sequences) == len(sequences[0]) == 1:
            jobs = jobs_of(admitted)
            if len(jobs) == 1 and not _is_chain(admitted):
                # A single call, of which no part ends before the rest.
                jobs[0][0]()
                return run.taken()
            jobs_of = partial(_given, jobs)
        scheduler = StepScheduler(self._submit, sequences, jobs_of)
        scheduler.start()
        pause = EARLY_SECONDS
        while not scheduler.ended(pause):
            if ended := run.taken():
                early(ended)
            self._crew.look()
            pause = min(2 * pause, EARLY_LONGEST)
        return run.taken()

    def _jobs(self, run: _Run, items: Sequence[Admitted]) -> list[Job[Admitted]]:
        """Return jobs that may run in parallel: one for each key, or one for each bulk call."""
        chains: dict[Any, Chain] = {}
        for number, item in enumerate(items):
            chains.setdefault(key_of(item) or number, []).append(item)
        jobs: list[Job[Admitted]] = []
        bulks: dict[tuple[str, str, Mode, str], list[Admitted]] = {}
        for key, chain in chains.items():
            if key not in run.stopped and _fits_bulk(chain):
                verb = chain[0].claimed.command.verb
                bulks.setdefault((*_adapter_key(chain[0]), verb), []).extend(chain)
            else:
                jobs.append((partial(self._run_chain, chain, run), chain))
        for bulk in bulks.values():
            for group in batched(bulk, len(bulk) if _writes(bulk) else MAX_READ):
                run_it = self._run_chain if len(group) == 1 else self._run_bulk
                jobs.append((partial(run_it, [*group], run), group))
        return jobs

    def close(self) -> None:
        """Stop the threads and close every adapter."""
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
        """Run one command and return what `use` makes of the adapter's own answer.

        The answer may be an open `ObjectStream`. Errors of both are raised as SignalboxError.
        """
        try:
            return use(self._answer(item, self._call(item)))
        except Exception as error:
            raise typed(error, item) from error

    def answers(
        self, items: Sequence[Admitted], use: Callable[[Any], Answer]
    ) -> list[Answer | SignalboxError]:
        """Do what `answer` does for commands with equal `is_alike`.

        Errors are returned in place of answers.
        """
        try:
            if len(items) == 1:
                return [self.answer(items[0], use)]
            found = self._bulk(items, [self._call(item) for item in items])
        except Exception as error:  # noqa: BLE001 - becomes the error of each command
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
        except Exception as error:  # noqa: BLE001 - ends only this command
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
        except Exception as error:  # noqa: BLE001 - ends only the commands of this call
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
            except Exception as raised:  # noqa: BLE001 - for example, the content ends too early
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
            stale=claimed.stale,
            deadline=claimed.deadline,
            payloads=self._payloads,
            measured=(item.quotas.objects, item.quotas.bytes) != (None, None),
        )

    def _adapter(self, item: Admitted) -> Any:
        adapter_key = _adapter_key(item)
        with self._lock:
            kept = self._open.get(adapter_key)
            if kept is not None:
                self._open.move_to_end(adapter_key)
        if kept is None:
            scope, config = item.route.scope, item.route.config
            adapter = item.backend.open(AdapterContext(scope, item.mode, config))
            kept = self._keep(adapter_key, (adapter, item.backend.boundary(scope, config)))
        adapter, boundary = kept
        # A symbolic link or a host name may resolve differently by now.
        boundary.check()
        return adapter

    def _keep(self, adapter_key: AdapterKey, opened: tuple[Any, Boundary]) -> tuple[Any, Boundary]:
        with self._lock:
            kept = self._open.setdefault(adapter_key, opened)
            if len(self._open) > MAX_OPEN:
                # Not closed, since another thread may be using it; it is freed with its last
                # reference.
                self._open.popitem(last=False)
        return kept


def is_alike(item: Admitted) -> tuple[str, str, Mode, str] | None:
    """Return a value that is equal for commands which one bulk call may run.

    None if there is no bulk form.
    """
    verb = item.claimed.command.verb
    return (*_adapter_key(item), verb) if verb in item.backend.bulk_verbs else None


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
    """Return the command's order key with its tenant and env; None if it has no order."""
    command = item.claimed.command
    order = command.order_key
    return (command.tenant_id, command.env, order) if order else None


def _is_chain(items: Sequence[Admitted]) -> bool:
    """Whether the commands of one job may be separate calls in sequence, all of one key."""
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
        item.claimed.command.verb == verb and _adapter_key(item) == _adapter_key(first)
        for item in chain
    )


def _adapter_key(item: Admitted) -> tuple[str, str, Mode]:
    return (item.route.scope.field, item.route.fence, item.mode)


def typed(error: Exception, item: Admitted | Ended) -> SignalboxError:
    """Return the error of a call to the item's backend as a SignalboxError that names its scope."""
    assert item.route is not None  # noqa: S101 - a command that reached a backend has a route
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
