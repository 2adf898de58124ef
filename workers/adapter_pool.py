"""Runs admitted commands on their adapters: one adapter a route revision, keys side by side."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog

from adapters.port import AdapterContext, Call
from commands.error import InternalError, SignalboxError
from commands.fault import reach
from commands.payload import PayloadStore
from commands.scope import Mode
from workers.content import to_result
from workers.stage import Admitted, Ended, Watch

log = structlog.get_logger("signalbox.worker")

OPEN_MOST = 1024
"""Adapters kept open in a process."""

Chain = list[Admitted]
"""Commands of one order key, as accepted: the next may run only when the one before ended."""


class AdapterPool:
    """The adapters of a process, and the threads on which commands of different keys run."""

    def __init__(self, payloads: PayloadStore, inline_limit: int, threads: int = 16) -> None:
        self._payloads = payloads
        self._limit = inline_limit
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="adapter")
        self._open: OrderedDict[tuple[str, str, Mode], Any] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, admitted: Sequence[Admitted], watch: Watch) -> list[Ended]:
        """Run all of them; an end for each. Commands on one key run in accepted order, and stop
        at one whose end is still open (a temporary error): those behind it are not attempted.
        """
        chains: dict[tuple[str, str, str], Chain] = {}
        for number, item in enumerate(admitted):
            command = item.claimed.command
            name = (command.tenant_id, command.env, command.order_key or f"#{number}")
            chains.setdefault(name, []).append(item)
        work: list[Callable[[], list[Ended]]] = []
        bulks: dict[tuple[str, str, Mode, str], list[Admitted]] = {}
        for chain in chains.values():
            if _fits_bulk(chain):
                verb = chain[0].claimed.command.verb
                bulks.setdefault((*_place(chain[0]), verb), []).extend(chain)
            else:
                work.append(partial(self._run_chain, chain, watch))
        work += [partial(self._run_bulk, group, watch) for group in bulks.values()]
        if len(work) == 1:
            return work[0]()
        return [ended for part in self._threads.map(lambda job: job(), work) for ended in part]

    def close(self) -> None:
        """End the threads and give back every adapter."""
        self._threads.shutdown()
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _run_chain(self, chain: Chain, watch: Watch) -> list[Ended]:
        ended: list[Ended] = []
        for item in chain:
            if ended and ended[-1].may_change:
                ended.append(Ended(item.claimed, item.route))
            else:
                ended.append(self._run_one(item, watch))
        return ended

    def _run_one(self, item: Admitted, watch: Watch) -> Ended:
        if refused := watch.begin([item]):
            return refused[0]
        end = self._call_one(item)
        watch.ended([end])
        return end

    def _call_one(self, item: Admitted) -> Ended:
        command = item.claimed.command
        try:
            method = getattr(self._adapter(item), command.verb)
            call = self._call(item)
            reach("command.before", command.subject)
            answer = method(command, call)
            reach("batch.middle", command.subject)
            return self._ended(item, call, answer)
        except Exception as error:  # noqa: BLE001 - the end of this command, not of its neighbours
            return Ended(item.claimed, item.route, error=_typed(error, item))

    def _run_bulk(self, group: list[Admitted], watch: Watch) -> list[Ended]:
        if len(group) == 1:
            return [self._run_one(group[0], watch)]
        if refused := watch.begin(group):
            return refused
        ended = self._call_bulk(group)
        watch.ended(ended)
        return ended

    def _call_bulk(self, group: list[Admitted]) -> list[Ended]:
        try:
            method = getattr(self._adapter(group[0]), f"{group[0].claimed.command.verb}_many")
            calls = [self._call(item) for item in group]
            for item in group:
                reach("command.before", item.claimed.command.subject)
            answers = method(
                [(item.claimed.command, call) for item, call in zip(group, calls, strict=True)]
            )
        except Exception as error:  # noqa: BLE001 - the end of this call's commands alone
            return [Ended(i.claimed, i.route, error=_typed(error, i)) for i in group]
        return [
            Ended(item.claimed, item.route, error=_typed(answer, item))
            if isinstance(answer, SignalboxError)
            else self._ended(item, call, answer)
            for item, call, answer in zip(group, calls, answers, strict=True)
        ]

    def _ended(self, item: Admitted, call: Call, answer: Any) -> Ended:
        result = to_result(answer, self._payloads, self._limit)
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
            adapter = self._open.get(place)
            if adapter is not None:
                self._open.move_to_end(place)
                return adapter
        adapter = item.backend.open(
            AdapterContext(scope=item.route.scope, mode=item.mode, config=item.route.config)
        )
        with self._lock:
            adapter = self._open.setdefault(place, adapter)
            if len(self._open) > OPEN_MOST:
                # Not closed: another thread may be using it. It goes when nobody does.
                self._open.popitem(last=False)
        return adapter


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


def _typed(error: Exception, item: Admitted) -> SignalboxError:
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
