"""The connections of one route config: made by the call that needs one, in its time, and kept.

No thread connects on its own: what a hostile server does to a connection takes the time of a call
to that server, and of no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from signalbox.adapters.deadline import CONNECT_SECONDS, current
from signalbox.adapters.postgres.connection import BoundedConnection
from signalbox.commands.error import SignalboxError, Unavailable

MAX_CONNECTIONS = 8
IDLE_SECONDS = 60.0


class Pool:
    """Thread-safe. `make` makes a connection."""

    def __init__(self, make: Callable[[], BoundedConnection]) -> None:
        self._make = make
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._idle: list[tuple[BoundedConnection, float]] = []
        """With when each came back, the last at the end."""
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[BoundedConnection]:
        """A connection in a transaction, committed at the end of the block, rolled back if that
        raises. Raises Unavailable when none comes free in time, and what `make` does."""
        deadline = current()
        patience = CONNECT_SECONDS if deadline is None else min(CONNECT_SECONDS, deadline.left())
        if not self._free.acquire(timeout=patience):
            raise Unavailable(
                f"all {MAX_CONNECTIONS} connections to the database are in use",
                next_step="it is tried again; see what keeps the database if it stays so",
            )
        try:
            connection = self._take() or self._make()
            try:
                yield connection
                connection.commit()
            except BaseException:
                # What it raised is what is to be told.
                with suppress(psycopg.Error, SignalboxError):
                    connection.rollback()
                raise
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close those that are idle. Those in use are closed when they come back."""
        with self._lock:
            gone, self._idle, self._closed = self._idle, [], True
        for connection, _ in gone:
            connection.close()

    def _take(self) -> BoundedConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def _give_back(self, connection: BoundedConnection) -> None:
        now = time.monotonic()
        gone: list[BoundedConnection] = []
        with self._lock:
            if not self._closed and connection.is_quiet():
                self._idle.append((connection, now))
            else:
                gone.append(connection)
            while self._idle and now - self._idle[0][1] >= IDLE_SECONDS:
                gone.append(self._idle.pop(0)[0])
        for each in gone:
            each.close()
