"""The threads that run commands in a process, shared fairly among tenants.

Tenants with jobs take turns. A thread that one job has occupied for SLOW_SECONDS is replaced by
another, at most `number` of them; a tenant that has its share of all threads gets none of these.
Calls that hang on one tenant's endpoint therefore leave threads for the others. Without slow jobs
there is no limit.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from signalbox.workers.execution.slots import SLOW_SECONDS, share_of

Call = Callable[[], object]


@dataclass(eq=False)
class _Job:
    tenant: str
    call: Call
    since: float = field(default_factory=time.monotonic)


class FairThreads:
    """Runs the jobs of tenants; those of one tenant start in the order they came. Thread-safe."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._threads = ThreadPoolExecutor(2 * number, thread_name_prefix="adapter")
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Call]] = OrderedDict()
        self._running: set[_Job] = set()

    def submit(self, tenant: str, call: Call) -> None:
        """Run the call when a thread is available to this tenant. Its exceptions are ignored."""
        with self._lock:
            self._waiting.setdefault(tenant, deque()).append(call)
        self.look()

    def look(self) -> None:
        """Start the jobs that there are threads for.

        Must be called regularly while a job is waited for, since a slow thread is replaced only
        here.
        """
        while True:
            with self._lock:
                job = self._next()
            if job is None:
                return
            self._threads.submit(self._work, job)

    def close(self) -> None:
        """Wait for the running jobs."""
        self._threads.shutdown()

    def _work(self, job: _Job | None) -> None:
        while job is not None:
            with suppress(Exception):
                job.call()
            with self._lock:
                self._running.discard(job)
                job = self._next()

    def _next(self) -> _Job | None:
        tenant = self._turn()
        if tenant is None:
            return None
        calls = self._waiting.pop(tenant)
        job = _Job(tenant, calls.popleft())
        if calls:
            self._waiting[tenant] = calls
        self._running.add(job)
        return job

    def _turn(self) -> str | None:
        """Return the tenant whose job runs next; None if there is no job or no thread for it."""
        taken = len(self._running)
        if not self._waiting or taken < self._number:
            return next(iter(self._waiting), None)
        before = time.monotonic() - SLOW_SECONDS
        slow = sum(job.since < before for job in self._running)
        if taken >= self._number + min(slow, self._number):
            return None
        share = share_of(self._number)
        for tenant in self._waiting:
            if sum(job.tenant == tenant for job in self._running) < share:
                return tenant
        return None
