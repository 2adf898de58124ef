"""A semaphore with a maximum share per tenant; waiting tenants take turns."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict, deque

from signalbox.producers.client.loop_inbox import Inbox, Inboxes
from signalbox.workers.execution.slots import share_of


class _Waiter:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.granted: asyncio.Future[None] = inbox.loop.create_future()
        self.holds = False

    def grant(self) -> None:
        if not self.granted.done():
            self.granted.set_result(None)


class FairSemaphore:
    """A number of permits, shared by all tenants.

    Permits go to one tenant in the order of its requests, and different tenants take turns.
    For tasks of any event loop.
    """

    def __init__(self, number: int, inboxes: Inboxes) -> None:
        self._number = number
        self._share = share_of(number)
        self._inboxes = inboxes
        self._lock = threading.Lock()
        self._held = Counter[str]()
        self._taken = 0
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    async def acquire(self, tenant_id: str) -> None:
        """Wait for a permit. It must be given back once by `release`."""
        with self._lock:
            if self._try_acquire(tenant_id):
                return
            waiter = _Waiter(self._inboxes.here())
            self._queues.setdefault(tenant_id, deque()).append(waiter)
        try:
            await waiter.granted
        except BaseException:
            self._give_up(tenant_id, waiter)
            raise

    def try_acquire(self, tenant_id: str) -> bool:
        """Take a permit if one is free; return whether one was."""
        with self._lock:
            return self._try_acquire(tenant_id)

    def release(self, tenant_id: str) -> None:
        """Give back a permit, from any thread."""
        with self._lock:
            self._taken -= 1
            self._held[tenant_id] -= 1
            if not self._held[tenant_id]:
                del self._held[tenant_id]
            self._grant_next()

    def _try_acquire(self, tenant_id: str) -> bool:
        acquired = tenant_id not in self._queues and self._may_acquire(tenant_id)
        if acquired:
            self._grant(tenant_id)
        return acquired

    def _may_acquire(self, tenant_id: str) -> bool:
        return self._taken < self._number and self._held[tenant_id] < self._share

    def _grant(self, tenant_id: str) -> None:
        self._taken += 1
        self._held[tenant_id] += 1

    def _grant_next(self) -> None:
        """Give free permits to waiting tasks."""
        for tenant_id in list(self._queues):
            if self._taken >= self._number:
                return
            queue = self._queues[tenant_id]
            if self._may_acquire(tenant_id):
                waiter = queue.popleft()
                waiter.holds = True
                self._grant(tenant_id)
                waiter.inbox.post(waiter.grant)
                # Its next task follows those of the other tenants.
                self._queues.move_to_end(tenant_id)
            if not queue:
                del self._queues[tenant_id]

    def _give_up(self, tenant_id: str, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.holds:
                queue = self._queues[tenant_id]
                queue.remove(waiter)
                if not queue:
                    del self._queues[tenant_id]
                return
        self.release(tenant_id)
