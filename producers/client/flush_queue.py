"""The order in which a buffer submits: first come, first served, except for full tenants."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

AGAIN_SECONDS = 0.5
"""Seconds until commands of a tenant and env that were full are submitted again."""


class FlushQueue(Generic[Item]):
    """Items in the order of their adds.

    Those of a scope (tenant and env) that was full wait in a queue of their own. Not thread-safe:
    the buffer's lock guards it.
    """

    def __init__(
        self,
        count: int,
        size: int,
        linger: float,
        longest: float = 0.0,
        in_flight: Callable[[], int] = int,
    ) -> None:
        """`in_flight` returns the number of commands without an outcome, including those here.

        While more than twice as many are elsewhere as here, items here wait up to `longest`
        seconds: with fewer and larger batches a busy worker does more in the same time. All times
        are in seconds.
        """
        self._count, self._size, self._linger = count, size, linger
        self._longest, self._in_flight = longest, in_flight
        self._main: deque[tuple[float, str, Item, int]] = deque()
        self._bytes = 0
        self._aside: dict[str, deque[Item]] = {}
        self._again: dict[str, float] = {}
        self._hurried = 0
        """Number of the oldest items that are due at once."""

    def add(self, scope: str, item: Item, size: int) -> bool:
        """Append an item; return whether the flusher should wake."""
        now = time.monotonic()
        before = self._is_due(now)
        self._main.append((now, scope, item, size))
        self._bytes += size
        return len(self._main) == 1 or (self._is_due(now) and not before)

    def hurry(self) -> None:
        """Make all current items due at once."""
        self._hurried = len(self._main)

    def take(self, capacity: int) -> list[Item]:
        """Return the items that are due now, at most `capacity`.

        If they come from the queue of a full scope, there are no others among them.
        """
        now = time.monotonic()
        for scope, again in self._again.items():
            if again <= now:
                waiting = self._aside[scope]
                return [waiting.popleft() for _ in range(min(capacity, len(waiting)))]
        if not self._is_due(now):
            return []
        taken: list[Item] = []
        size = 0
        while self._main and len(taken) < capacity:
            _, scope, item, item_size = self._main[0]
            if taken and size + item_size > self._size:
                break
            self._main.popleft()
            self._hurried = max(0, self._hurried - 1)
            self._bytes -= item_size
            if scope in self._aside:  # It became full after this item was added.
                self._aside[scope].append(item)
                continue
            taken.append(item)
            size += item_size
        return taken

    def put_back(self, taken: Collection[str], refused: Iterable[tuple[str, Item]]) -> None:
        """Record what was taken: the scopes, and the items that have to be submitted again."""
        full: dict[str, list[Item]] = {}
        for scope, item in refused:
            full.setdefault(scope, []).append(item)
        now = time.monotonic()
        for scope in taken:
            if scope in full:
                waiting = self._aside.setdefault(scope, deque())
                waiting.extendleft(reversed(full[scope]))
                self._again[scope] = now + AGAIN_SECONDS
            elif self._aside.get(scope):
                self._again[scope] = now  # the rest of its queue
            else:
                self._aside.pop(scope, None)
                self._again.pop(scope, None)

    def seconds(self) -> float | None:
        """Return the seconds until an item is due; None if none is before the next add."""
        now = time.monotonic()
        times = list(self._again.values())
        if self._main:
            since = self._main[0][0]
            soon = since + self._linger
            times.append(soon if now < soon else since + self._longest)
        return max(0.0, min(times) - now) if times else None

    def _is_full(self) -> bool:
        return len(self._main) >= self._count or self._bytes >= self._size

    def _is_due(self, now: float) -> bool:
        if not self._main:
            return False
        if self._hurried > 0 or self._is_full():
            return True
        lingered = now - self._main[0][0]
        if lingered < self._linger:
            return False
        here = len(self._main)
        return lingered >= self._longest or 2 * here >= self._in_flight() - here
