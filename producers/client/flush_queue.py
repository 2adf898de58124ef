"""The order in which a buffer hands over: first come, first served, but for those held up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")

AGAIN_SECONDS = 0.5
"""Until a place that was full is tried again."""


class FlushQueue(Generic[Item]):
    """Items in the order of their adds; those of a place that was full wait in a lane aside.

    Not thread-safe: the buffer's lock guards it.
    """

    def __init__(
        self,
        count: int,
        size: int,
        linger: float,
        longest: float = 0.0,
        in_flight: Callable[[], int] = int,
    ) -> None:
        """`in_flight` counts commands without an outcome, those that are here among them: while
        there are more than twice as many elsewhere as here, what is here lingers on for `longest`
        seconds at most. With fewer and larger batches a busy worker does more in the same time."""
        self._count, self._size, self._linger = count, size, linger
        self._longest, self._in_flight = longest, in_flight
        self._main: deque[tuple[float, str, Item, int]] = deque()
        self._bytes = 0
        self._aside: dict[str, deque[Item]] = {}
        self._again: dict[str, float] = {}
        self._hurried = 0
        """So many of the oldest do not linger."""

    def add(self, place: str, item: Item, size: int) -> bool:
        """Append an item. Returns True if the flusher should wake up."""
        now = time.monotonic()
        before = self._is_due(now)
        self._main.append((now, place, item, size))
        self._bytes += size
        return len(self._main) == 1 or (self._is_due(now) and not before)

    def hurry(self) -> None:
        """Nothing that is here lingers."""
        self._hurried = len(self._main)

    def take(self, capacity: int) -> list[Item]:
        """What is due now, at most so many; of a place that was full nothing else beside."""
        now = time.monotonic()
        for place, again in self._again.items():
            if again <= now:
                lane = self._aside[place]
                return [lane.popleft() for _ in range(min(capacity, len(lane)))]
        if not self._is_due(now):
            return []
        taken: list[Item] = []
        size = 0
        while self._main and len(taken) < capacity:
            _, place, item, its = self._main[0]
            if taken and size + its > self._size:
                break
            self._main.popleft()
            self._hurried = max(0, self._hurried - 1)
            self._bytes -= its
            if place in self._aside:  # it became full when this one was here already
                self._aside[place].append(item)
                continue
            taken.append(item)
            size += its
        return taken

    def put_back(self, taken: Collection[str], refused: Iterable[tuple[str, Item]]) -> None:
        """The places of what was taken, and what of it has to come again, in its order."""
        full: dict[str, list[Item]] = {}
        for place, item in refused:
            full.setdefault(place, []).append(item)
        now = time.monotonic()
        for place in taken:
            if place in full:
                lane = self._aside.setdefault(place, deque())
                lane.extendleft(reversed(full[place]))
                self._again[place] = now + AGAIN_SECONDS
            elif self._aside.get(place):
                self._again[place] = now  # the rest of its lane
            else:
                self._aside.pop(place, None)
                self._again.pop(place, None)

    def seconds(self) -> float | None:
        """Until something is due; None: not before something is added."""
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
