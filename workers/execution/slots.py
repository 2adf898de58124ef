"""The slots of a worker: no tenant's slow commands hold all of them.

A slot is held by one message. Those that are held long are replaced, up to as many again as the
worker has (`SteadyConsumer`), and a tenant that has its share of slow ones gets none of these: its
commands go back for a while, without an attempt. Where nothing is slow, nothing is different.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from signalbox.commands.error import SlotsTaken
from signalbox.workers.execution.pipeline_types import Admitted, Ended
from signalbox.workers.execution.slot_board import PLACES, Board, Held, digest

SLOW_SECONDS = 1.0
"""A slot that is held longer is replaced."""
BACK_SECONDS = 5.0
"""For so long a command goes back that gets no slot: each look at it is work for the others."""


def share_of(number: int) -> int:
    """Of so many slots or threads one tenant has no more while others are short of them."""
    return max(1, number // 2)


class Slot:
    """One message in hand, and its place on the board, if there is one for it."""

    def __init__(self, place: int | None) -> None:
        self.since = time.monotonic()
        self.place = place


class Slots:
    """The slots that this process has of a worker's. Thread-safe."""

    def __init__(self, board: Board | None = None, place: int | None = None) -> None:
        """A process that runs one message at a time has one `place`, any other the whole board."""
        self.board = board or Board()
        self._lock = threading.Lock()
        places = range(PLACES) if place is None else range(place, min(place + 1, PLACES))
        self._free = list(reversed(places))
        if place is not None and place in places:
            self.board.leave(place)  # of a process that died

    @contextmanager
    def taken(self) -> Iterator[Slot]:
        with self._lock:
            slot = Slot(self._free.pop() if self._free else None)
        if slot.place is not None:
            self.board.take(slot.place, slot.since)
        try:
            yield slot
        finally:
            if slot.place is not None:
                self.board.leave(slot.place)
                with self._lock:
                    self._free.append(slot.place)

    def slow(self) -> int:
        """How many of the worker's are held for long."""
        return len(_slow(self.board.held()))

    def share(self, slot: Slot, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        """Those that may run in this slot, and the ends of those whose tenant has its share."""
        if slot.place is None:
            return list(admitted), []
        tenants = {tenant: digest(tenant) for tenant in {_tenant(item) for item in admitted}}
        full: set[str] = set()
        with self._lock:
            number, held = self.board.number, self.board.held()
            if 0 < number < len(held):
                slow, limit = _slow(held), share_of(number)
                full = {
                    tenant
                    for tenant, its in tenants.items()
                    if sum(its in noted for _, noted in slow) >= limit
                }
            run = (its for tenant, its in tenants.items() if tenant not in full)
            self.board.take(slot.place, slot.since, run)
        if not full:
            return list(admitted), []
        ready = [item for item in admitted if _tenant(item) not in full]
        return ready, [
            Ended(item.claimed, item.route, error=_taken())
            for item in admitted
            if _tenant(item) in full
        ]


def _slow(held: Sequence[Held]) -> list[Held]:
    before = time.monotonic() - SLOW_SECONDS
    return [each for each in held if each[0] < before]


def _tenant(item: Admitted) -> str:
    return item.claimed.command.tenant_id


def _taken() -> SlotsTaken:
    error = SlotsTaken(
        "the tenant's slow commands hold its share of the worker's slots",
        next_step="it waits, without attempts, until one of them has ended; look for what is slow, "
        "or start more workers",
    )
    error.retry_after = BACK_SECONDS
    return error
