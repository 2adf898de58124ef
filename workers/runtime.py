"""The parts of a worker, put together once in each process, after the fork."""

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
from signalbox.workers.execution.breaker import Breakers
from signalbox.workers.execution.completer import Completer
from signalbox.workers.execution.drain import Drains
from signalbox.workers.execution.probe import Prober
from signalbox.workers.execution.slots import Slots
from signalbox.workers.execution.tenant_activity import TenantActivity
from signalbox.workers.executor import Executor
from signalbox.workers.isolation.isolation import Isolation


class Runtime:
    """An executor with what it stands on, for one process.

    One that runs messages `one_at_a_time` runs suspects itself, and so does that of eager tests.
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
        self.parcels = Parcels(state, settings, self.ledger)
        self.publisher = Publisher(app)
        alone = one_at_a_time or app.conf.task_always_eager
        self.isolation = None if alone else Isolation(self.ledger, worker, settings.lease)
        self.registry = Registry(state)
        self._routes = RouteCache(self.registry, self.registry.policies)
        folder = settings.payload_dir or Path(".signalbox/payloads")
        payloads = DirectoryPayloadStore(folder, Deployment(state))
        self.executor = Executor(
            worker=worker,
            settings=settings,
            ledger=self.ledger,
            usage=UsageBook(state),
            breakers=Breakers(state, worker),
            registry=self.registry,
            routes=self._routes,
            adapters=AdapterPool(payloads, settings.inline_limit_bytes, renew=self.ledger.renew),
            finisher=Completer(self.ledger, self.parcels, settings, payloads, worker, task_events),
            publisher=self.publisher,
            isolation=self.isolation,
            neighbours=TenantActivity(),
            slots=slots or Slots(),
            prober=Prober(self.registry, payloads),
            permits=Permits(state),
        )
        self.drains = Drains(self.executor, self.parcels, worker)
        self._tail: LogFollower | None = None

    def follow_routes(self) -> None:
        """Hear of route changes before commands ask for them; right without it, faster with it."""
        self._tail = LogFollower(self._routes, EventLog(connect_to(self.settings)))
        self._tail.start()

    def close(self) -> None:
        if self._tail is not None:
            self._tail.stop()
        if self.isolation is not None:
            self.isolation.close()
        if self.task_events is not None:
            self.task_events.close()
        self.executor.adapters.close()
        self.state.close()


_lock = threading.Lock()
_runtimes: dict[int, Runtime] = {}
slots = Slots()
"""This worker's; the processes of its pool share the board, since it was made before them."""


def runtime(app: Celery, worker: str, *, child: int | None = None) -> Runtime:
    """This process' runtime, made as said when it is first asked for; `child` is the number of a
    process of a pool, which runs one message at a time.

    What the parent of a fork had open is never used in the child.
    """
    with _lock:
        current = _runtimes.get(os.getpid())
        if current is None:
            settings = Settings()
            state = connect_to(settings)
            alone = child is not None
            its = slots if child is None else Slots(slots.board, child)
            processes = (lambda: slots.board.number) if alone else (lambda: 1)
            current = Runtime(
                app,
                settings,
                state,
                worker,
                one_at_a_time=alone,
                slots=its,
                task_events=TaskEvents.of(app, worker, processes),
            )
            current.follow_routes()
            _runtimes.clear()
            _runtimes[os.getpid()] = current
        return current


def install(current: Runtime | None) -> None:
    """Use this runtime in this process (eager tests with a Redis of their own), or none."""
    with _lock:
        _runtimes.clear()
        if current is not None:
            _runtimes[os.getpid()] = current


def close_isolation() -> None:
    """Let the suspect that this process has in hand end, and its process with it."""
    current = _runtimes.get(os.getpid())
    if current is not None and current.isolation is not None:
        current.isolation.close()


def close_task_events() -> None:
    """Tell Flower the last ends of this process."""
    current = _runtimes.get(os.getpid())
    if current is not None and current.task_events is not None:
        current.task_events.close()
