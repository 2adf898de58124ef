"""The runtime of a worker process: builds the executor and all that it needs, after the fork."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import redis
from celery import Celery

from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.staged import Deployment
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect_to, state_over
from signalbox.producers.broker.publisher import Publisher
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.permit import Permits
from signalbox.routing.registry.registry import Registry
from signalbox.workers.celery.task_events import TaskEvents
from signalbox.workers.execution.adapter_pool import AdapterPool
from signalbox.workers.execution.authors import Authors
from signalbox.workers.execution.backend_probe import Prober
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.completer import Completer
from signalbox.workers.execution.control_commands import ControlRunner
from signalbox.workers.execution.parcel_drain import ParcelDrain
from signalbox.workers.execution.proof_check import ProofCheck
from signalbox.workers.execution.signed_statements import Statements
from signalbox.workers.execution.slots import Slots
from signalbox.workers.execution.tenant_activity import TenantActivity
from signalbox.workers.execution.unknown_tenants import UnknownTenants
from signalbox.workers.executor import Executor
from signalbox.workers.suspects.suspect_runner import SuspectRunner


class Runtime:
    """An executor with everything that it needs, for one process.

    With `one_at_a_time`, and in eager tests, suspects run in this process, else in a child process.
    """

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        state: State | redis.Redis,
        worker: str,
        *,
        one_at_a_time: bool = False,
        slots: Slots | None = None,
        task_events: TaskEvents | None = None,
    ) -> None:
        self.settings = settings
        self.state = state = state_over(state)
        self.task_events = task_events
        self.ledger = Ledger(state, settings)
        trust = trust_of(settings)
        required = trust is not None and trust.signatures is Signatures.REQUIRED
        self.parcels = Parcels(state, settings, self.ledger, trusting=not required)
        self.publisher = Publisher(app)
        alone = one_at_a_time or app.conf.task_always_eager
        self.suspects = None if alone else SuspectRunner(self.ledger, worker, settings.lease)
        self.registry = Registry(state, trust)
        self._routes = RouteCache(self.registry, self.registry.policies)
        folder = settings.payload_dir or Path(".signalbox/payloads")
        payloads = DirectoryPayloadStore(folder, Deployment(state))
        permits = Permits(state)
        controls = ControlRunner(settings, self.registry, permits, Prober(self.registry, payloads))
        self.executor = Executor(
            worker=worker,
            ledger=self.ledger,
            usage=UsageBook(state),
            breakers=Breakers(state, worker),
            registry=self.registry,
            routes=self._routes,
            adapters=AdapterPool(payloads, settings.inline_limit_bytes, renew=self.ledger.renew),
            completer=Completer(self.ledger, self.parcels, settings, payloads, worker, task_events),
            publisher=self.publisher,
            suspects=self.suspects,
            tenant_activity=TenantActivity(),
            slots=slots or Slots(),
            permits=permits,
            controls=controls,
            proofs=_proofs(settings, self.registry, self.ledger),
            unknown_tenants=None
            if required
            else UnknownTenants(self.registry, self._routes, controls),
        )
        self.drains = ParcelDrain(self.executor, self.parcels, worker)
        self._tail: LogFollower | None = None

    def follow_routes(self) -> None:
        """Start to follow the route log, which updates cached routes before they are needed.

        Without this the cache is still correct, but misses more often.
        """
        self._tail = LogFollower(
            self._routes, EventLog(connect_to(self.settings)), self.registry.rosters
        )
        self._tail.start()

    def close(self) -> None:
        """Stop all threads and close all connections."""
        if self._tail is not None:
            self._tail.stop()
        if self.suspects is not None:
            self.suspects.close()
        if self.task_events is not None:
            self.task_events.close()
        self.executor.adapters.close()
        self.state.close()


def _proofs(settings: Settings, registry: Registry, ledger: Ledger) -> ProofCheck | None:
    """None without a trust file."""
    if registry.rosters is None:
        return None
    trust = registry.rosters.trust
    statements = Statements(trust.audience, settings.message_limit_bytes)
    authors = Authors(trust, registry.rosters)
    return ProofCheck(trust.signatures, statements, settings, authors, ledger.count_unproven)


_lock = threading.Lock()
_runtimes: dict[int, Runtime] = {}
slots = Slots()
"""The worker's slots. A pool's processes share its board, which is made before they fork."""


def runtime(app: Celery, worker: str, *, child: int | None = None) -> Runtime:
    """Return this process' runtime, and build it on the first call.

    `child` is the number of a process in a pool, which runs one message at a time; None in any
    other process. A runtime from before a fork is never used in the child.
    """
    with _lock:
        current = _runtimes.get(os.getpid())
        if current is None:
            settings = Settings()
            state = connect_to(settings)
            state.is_worker = True
            alone = child is not None
            own_slots = slots if child is None else Slots(slots.board, child)
            processes = (lambda: slots.board.number) if alone else (lambda: 1)
            current = Runtime(
                app,
                settings,
                state,
                worker,
                one_at_a_time=alone,
                slots=own_slots,
                task_events=TaskEvents.of(app, worker, processes),
            )
            current.follow_routes()
            _runtimes.clear()
            _runtimes[os.getpid()] = current
        return current


def install(current: Runtime | None) -> None:
    """Replace this process' runtime, for eager tests with a Redis of their own; None removes it."""
    with _lock:
        _runtimes.clear()
        if current is not None:
            _runtimes[os.getpid()] = current


def close_suspects() -> None:
    """Let this process' current suspect end, then end the child process that runs it."""
    current = _runtimes.get(os.getpid())
    if current is not None and current.suspects is not None:
        current.suspects.close()


def close_task_events() -> None:
    """Send the last task events of this process."""
    current = _runtimes.get(os.getpid())
    if current is not None and current.task_events is not None:
        current.task_events.close()
