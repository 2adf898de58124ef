"""The slots of a worker with threads: no tenant's slow commands hold all of them.

A slot is held by one message. Those that are held long are replaced, up to as many again as the
worker has (`SteadyConsumer`), and a tenant that has its share of slow ones gets none of these: its
commands go back for a while, without an attempt. Where nothing is slow, nothing is different.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from commands.error import SlotsTaken
from workers.stage import Admitted, Ended

SLOW_SECONDS = 1.0
"""A slot that is held longer is replaced."""
BACK_SECONDS = 5.0
"""For so long a command goes back that gets no slot: each look at it is work for the others."""


@dataclass(eq=False)
class Slot:
    """One message in hand."""

    since: float = field(default_factory=lambda: time.monotonic())
    tenants: frozenset[str] = frozenset()


class Slots:
    """The slots of a process. Thread-safe."""

    def __init__(self) -> None:
        self.number = 0
        """Messages that the process runs at a time; 0: nobody counts, there is no share."""
        self._lock = threading.Lock()
        self._held: set[Slot] = set()

    @contextmanager
    def taken(self) -> Iterator[Slot]:
        slot = Slot()
        with self._lock:
            self._held.add(slot)
        try:
            yield slot
        finally:
            with self._lock:
                self._held.discard(slot)

    def slow(self) -> int:
        """How many are held for long."""
        with self._lock:
            return len(self._slow())

    def share(self, slot: Slot, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        """Those that may run in this slot, and the ends of those whose tenant has its share."""
        tenants = {item.claimed.command.tenant_id for item in admitted}
        full: set[str] = set()
        with self._lock:
            if 0 < self.number < len(self._held):
                slow = self._slow()
                most = max(1, self.number // 2)
                full = {t for t in tenants if sum(t in each.tenants for each in slow) >= most}
            slot.tenants = frozenset(tenants - full)
        if not full:
            return list(admitted), []
        ready = [item for item in admitted if item.claimed.command.tenant_id not in full]
        return ready, [
            Ended(item.claimed, item.route, error=_taken())
            for item in admitted
            if item.claimed.command.tenant_id in full
        ]

    def _slow(self) -> list[Slot]:
        before = time.monotonic() - SLOW_SECONDS
        return [slot for slot in self._held if slot.since < before]


def _taken() -> SlotsTaken:
    error = SlotsTaken(
        "the tenant's slow commands hold its share of the worker's slots",
        next_step="it waits, without attempts, until one of them has ended; look for what is slow, "
        "or start more workers",
    )
    error.retry_after = BACK_SECONDS
    return error
