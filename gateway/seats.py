"""A limited number of seats with a maximum share per tenant; tasks wait for them in turns."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from signalbox.producers.client.loop_inbox import Inbox, Inboxes
from signalbox.workers.execution.slots import share_of


class _Waiter:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.seated: asyncio.Future[None] = inbox.loop.create_future()
        self.has_seat = False

    def sit(self) -> None:
        if not self.seated.done():
            self.seated.set_result(None)


class Seats:
    """The seats of all tenants.

    Those of one tenant are given in the order of the requests, and different tenants take turns.
    For tasks of any event loop.
    """

    def __init__(self, number: int, inboxes: Inboxes) -> None:
        self._number = number
        self._share = share_of(number)
        self._inboxes = inboxes
        self._lock = threading.Lock()
        self._held = Counter[str]()
        self._taken = 0
        self._lines: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    async def take(self, tenant_id: str) -> None:
        """Wait for a seat. It must be freed once by `leave`."""
        with self._lock:
            if self._sit_at_once(tenant_id):
                return
            waiter = _Waiter(self._inboxes.here())
            self._lines.setdefault(tenant_id, deque()).append(waiter)
        try:
            await waiter.seated
        except BaseException:
            self._give_up(tenant_id, waiter)
            raise

    def take_at_once(self, tenant_id: str) -> bool:
        """Take a seat if there is one; return whether there was."""
        with self._lock:
            return self._sit_at_once(tenant_id)

    def leave(self, tenant_id: str) -> None:
        """Free a seat, from any thread."""
        with self._lock:
            self._taken -= 1
            self._held[tenant_id] -= 1
            if not self._held[tenant_id]:
                del self._held[tenant_id]
            self._call_next()

    @asynccontextmanager
    async def one(self, tenant_id: str) -> AsyncIterator[None]:
        """Hold a seat for as long as the context lasts."""
        await self.take(tenant_id)
        try:
            yield
        finally:
            self.leave(tenant_id)

    def _sit_at_once(self, tenant_id: str) -> bool:
        sits = tenant_id not in self._lines and self._may_sit(tenant_id)
        if sits:
            self._seat(tenant_id)
        return sits

    def _may_sit(self, tenant_id: str) -> bool:
        return self._taken < self._number and self._held[tenant_id] < self._share

    def _seat(self, tenant_id: str) -> None:
        self._taken += 1
        self._held[tenant_id] += 1

    def _call_next(self) -> None:
        """Give free seats to waiting tasks."""
        for tenant_id in list(self._lines):
            if self._taken >= self._number:
                return
            line = self._lines[tenant_id]
            if self._may_sit(tenant_id):
                waiter = line.popleft()
                waiter.has_seat = True
                self._seat(tenant_id)
                waiter.inbox.post(waiter.sit)
                # Its next task follows those of the other tenants.
                self._lines.move_to_end(tenant_id)
            if not line:
                del self._lines[tenant_id]

    def _give_up(self, tenant_id: str, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.has_seat:
                line = self._lines[tenant_id]
                line.remove(waiter)
                if not line:
                    del self._lines[tenant_id]
                return
        self.leave(tenant_id)
