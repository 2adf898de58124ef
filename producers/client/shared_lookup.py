"""Look-ups of many asyncio tasks in common: one call at a time, for all keys asked meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Generic, TypeVar

from signalbox.producers.client.loop_inbox import Inbox, Inboxes

K = TypeVar("K")
V = TypeVar("V")


class SharedLookup(Generic[K, V]):
    """A blocking look-up of many keys, for tasks that need one each. Thread-safe.

    Keys that are asked during a call go into the next one, so a single task does not wait for
    others, and a thousand tasks cost a few round trips.
    """

    def __init__(
        self,
        read: Callable[[Sequence[K]], Sequence[V]],
        threads: ThreadPoolExecutor,
        inboxes: Inboxes,
        limit: int = 500,
    ) -> None:
        """`read` returns the values of up to `limit` keys."""
        self._read = read
        self._threads = threads
        self._inboxes = inboxes
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: list[tuple[K, _Slot[V]]] = []
        self._running = False

    async def ask(self, key: K) -> V:
        """Return the key's value. Raises the errors of the look-up."""
        slot = _Slot[V](self._inboxes.here())
        with self._lock:
            self._waiting.append((key, slot))
            begin, self._running = not self._running, True
        if begin:
            self._threads.submit(self._run)
        return await slot.value

    def _run(self) -> None:
        while True:
            with self._lock:
                asked, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                if not asked:
                    self._running = False
                    return
            try:
                values = self._read([key for key, _ in asked])
            except Exception as error:  # noqa: BLE001 - raised in the tasks that asked
                for _, slot in asked:
                    slot.inbox.post(slot.fail, copy(error))  # each is raised in its own task
                continue
            for (_, slot), value in zip(asked, values, strict=True):
                slot.inbox.post(slot.give, value)


class _Slot(Generic[V]):
    """The future of one task."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.value: asyncio.Future[V] = inbox.loop.create_future()

    def give(self, value: V) -> None:
        if not self.value.done():
            self.value.set_result(value)

    def fail(self, error: Exception) -> None:
        if not self.value.done():
            self.value.set_exception(error)
