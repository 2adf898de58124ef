"""The connection pool of one route config: the call that needs a connection makes it.

No thread connects on its own: a hostile server takes only time of the calls to that server.
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
"""Maximum number of connections of a pool."""
IDLE_SECONDS = 60.0
"""Seconds after which an idle connection is closed."""


class Pool:
    """A connection pool. Thread-safe. `make` makes a connection."""

    def __init__(self, make: Callable[[], BoundedConnection]) -> None:
        self._make = make
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._idle: list[tuple[BoundedConnection, float]] = []
        """Idle connections with when they were returned, the last at the end."""
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[BoundedConnection]:
        """Lend a connection in a transaction, committed at the end of the block.

        It is rolled back if the block raises. Raises Unavailable if no connection is free in time,
        and the errors of `make`.
        """
        deadline = current()
        timeout = CONNECT_SECONDS if deadline is None else min(CONNECT_SECONDS, deadline.left())
        if not self._free.acquire(timeout=timeout):
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
                # The block's own exception must not be replaced.
                with suppress(psycopg.Error, SignalboxError):
                    connection.rollback()
                raise
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close idle connections; those in use are closed when they are returned."""
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
