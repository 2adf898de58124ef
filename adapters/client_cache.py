"""Cache of the clients of a process: those that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Client = TypeVar("Client")


class ClientCache(Generic[Key, Client]):
    """One client for each key, at most `limit` of them. Thread-safe.

    `evict` is called with one that has to go; without it, nothing is closed, since another thread
    may be using it. A forked child must not use its parent's cache: the clients' sockets are
    shared, and the lock may be held for ever.
    """

    def __init__(self, limit: int, evict: Callable[[Client], None] | None = None) -> None:
        self._limit = limit
        self._evict = evict
        self._lock = threading.Lock()
        self._clients: OrderedDict[Key, Client] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def get(self, key: Key, make: Callable[[], Client]) -> Client:
        """Return the client of a key, which `make` makes on first use, under the lock."""
        evicted: list[Client] = []
        with self._lock:
            client = self._clients.pop(key) if key in self._clients else make()
            self._clients[key] = client
            if len(self._clients) > self._limit:
                evicted.append(self._clients.popitem(last=False)[1])
        if self._evict is not None:
            for each in evicted:
                self._evict(each)
        return client
