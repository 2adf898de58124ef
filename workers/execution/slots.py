"""Slots of a worker: a tenant's slow commands cannot take all of them.

A message occupies one slot while it runs. A slot that is occupied for long is replaced, at most as
many as the worker has (`SteadyConsumer`). A tenant that already occupies its share of slow slots
gets no replacement: its commands go back for a while without an attempt. Without slow commands
there is no limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from signalbox.commands.error import SlotsTaken
from signalbox.workers.execution.pipeline_types import Admitted, Ended
from signalbox.workers.execution.slot_board import MAX_SLOTS, Board, Held, digest

SLOW_SECONDS = 1.0
"""Seconds after which an occupied slot is replaced."""
BACK_SECONDS = 5.0
"""Seconds for which a command without a slot goes back; each look at it takes time from the
others."""


def share_of(number: int) -> int:
    """Return how many of `number` slots or threads one tenant may have while others need them."""
    return max(1, number // 2)


class Slot:
    """The slot of one running message, and its index on the board, None if all are in use."""

    def __init__(self, index: int | None) -> None:
        self.since = time.monotonic()
        self.index = index


class Slots:
    """The slots that this process uses. Thread-safe."""

    def __init__(self, board: Board | None = None, index: int | None = None) -> None:
        """A process that runs one message at a time has one `index`, any other the whole board."""
        self.board = board or Board()
        self._lock = threading.Lock()
        indexes = range(MAX_SLOTS) if index is None else range(index, min(index + 1, MAX_SLOTS))
        self._free = list(reversed(indexes))
        if index is not None and index in indexes:
            self.board.leave(index)  # A process that died may have left it in use.

    @contextmanager
    def taken(self) -> Iterator[Slot]:
        """Occupy a slot for as long as the context lasts."""
        with self._lock:
            slot = Slot(self._free.pop() if self._free else None)
        if slot.index is not None:
            self.board.take(slot.index, slot.since)
        try:
            yield slot
        finally:
            if slot.index is not None:
                self.board.leave(slot.index)
                with self._lock:
                    self._free.append(slot.index)

    def slow(self) -> int:
        """Return how many of the worker's slots are occupied for longer than SLOW_SECONDS."""
        return len(_slow(self.board.held()))

    def share(self, slot: Slot, admitted: Sequence[Admitted]) -> tuple[list[Admitted], list[Ended]]:
        """Return the commands that may run in this slot.

        The ends of those whose tenant has its share follow.
        """
        if slot.index is None:
            return list(admitted), []
        tenants = {tenant: digest(tenant) for tenant in {_tenant(item) for item in admitted}}
        full: set[str] = set()
        with self._lock:
            number, held = self.board.number, self.board.held()
            if 0 < number < len(held):
                slow, limit = _slow(held), share_of(number)
                full = {
                    tenant
                    for tenant, tenant_digest in tenants.items()
                    if sum(tenant_digest in noted for _, noted in slow) >= limit
                }
            run = (tenant_digest for tenant, tenant_digest in tenants.items() if tenant not in full)
            self.board.take(slot.index, slot.since, run)
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
