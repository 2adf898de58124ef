"""The servers of the state Redis, and which of them holds a key."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis
from redis.crc import key_slot

Address = tuple[str, int]
SLOTS = 16384


class Servers(Protocol):
    """Clients of the primaries. Thread-safe."""

    retry_seconds: float
    """Seconds for which a call that is refused for now or not answered is retried."""

    def of(self, key: str) -> redis.Redis:
        """Return the client of the server that holds this key. Raises redis.RedisError."""

    def all(self) -> Sequence[redis.Redis]:
        """Return the clients of all primaries. Raises redis.RedisError."""

    def any(self) -> redis.Redis:
        """Return any client; each receives all publications. Raises redis.RedisError."""

    def moved(self, error: redis.exceptions.MovedError) -> None:
        """Record that a slot is on another server, as a MOVED answer says."""

    def look_anew(self) -> None:
        """Look up the servers again: one did not answer or is no longer a primary."""

    def close(self) -> None:
        """Close all connections."""


class OneServer:
    """One server that holds all keys; Sentinels may say which one it is."""

    def __init__(self, client: redis.Redis, retry_seconds: float = 0.0) -> None:
        self._client = client
        self.retry_seconds = retry_seconds

    def of(self, key: str) -> redis.Redis:  # noqa: ARG002 - it has all keys
        return self._client

    def all(self) -> Sequence[redis.Redis]:
        return [self._client]

    def any(self) -> redis.Redis:
        return self._client

    def moved(self, error: redis.exceptions.MovedError) -> None:
        # A node of a cluster that is named as if it were alone.
        raise error

    def look_anew(self) -> None:
        # Its idle connections may lead to a server that is no primary now; those in use are closed
        # by whoever finds out.
        self._client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        self._client.close()


class Cluster:
    """The primaries of a Redis Cluster."""

    def __init__(
        self,
        seeds: Sequence[Address],
        make: Callable[[Address], redis.Redis],
        retry_seconds: float,
    ) -> None:
        self._seeds = list(seeds)
        self._make = make
        self.retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._clients: dict[Address, redis.Redis] = {}
        self._slots: list[Address] = []
        """The primary of each slot; empty if it has to be looked up."""

    def of(self, key: str) -> redis.Redis:
        slots = self._slots or self._look()
        return self._client(slots[key_slot(key.encode())])

    def all(self) -> Sequence[redis.Redis]:
        slots = self._slots or self._look()
        return [self._client(address) for address in sorted(set(slots))]

    def any(self) -> redis.Redis:
        return random.choice(self.all())

    def moved(self, error: redis.exceptions.MovedError) -> None:
        with self._lock:
            if self._slots and error.host:
                self._slots = list(self._slots)
                self._slots[error.slot_id] = (error.host, error.port)
            else:
                self._slots = []

    def look_anew(self) -> None:
        self._slots = []

    def close(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _client(self, address: Address) -> redis.Redis:
        client = self._clients.get(address)
        if client is None:
            with self._lock:
                client = self._clients.get(address) or self._make(address)
                self._clients[address] = client
        return client

    def _look(self) -> list[Address]:
        """Ask the nodes in any order: after a failover some may not know of it yet."""
        known = list(dict.fromkeys([*self._clients, *self._seeds]))
        random.shuffle(known)
        failure: redis.RedisError = redis.ConnectionError("no node of the cluster is known")
        for address in known:
            try:
                rows = self._client(address).execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]  # untyped in redis-py
                slots = _read_slots(rows, address)
            except redis.RedisError as error:
                failure = error
                continue
            self._slots = slots
            return slots
        raise failure


def _read_slots(rows: Any, asked: Address) -> list[Address]:
    """The primary of each slot, as one node knows it. Raises ClusterDownError if one has none."""
    slots: list[Address | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in rows:
        # A node that does not know its own address leaves it out: it is the one that was asked.
        address = (host.decode() if host else asked[0], int(port))
        slots[first : last + 1] = [address] * (last + 1 - first)
    known = [address for address in slots if address is not None]
    if len(known) < SLOTS:
        raise redis.exceptions.ClusterDownError(
            f"{asked[0]}:{asked[1]} knows no server for {SLOTS - len(known)} of its slots"
        )
    return known
