"""SQLite connections of the process: borrowed for one transaction, and kept for the next.

They are not bound to threads: a worker has many adapters and threads, and one connection for each
pair would use up its file descriptors. None is open during a fork: a child does not have its
parent's file locks, but would have a copy of SQLite's records of them.
"""

from __future__ import annotations

import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import apsw

IDLE_LEAST, MAX_IDLE = 64, 1024
"""Bounds of the number of idle connections, which depends on how many files the process may open.
Opening one again makes a commit three times as slow, since closing the last one to a file empties
its log."""
DESCRIPTORS = 3
"""File descriptors of a connection: the file, its log and the log's index."""
SHARE = 0.25
"""Share of the process' file descriptors that idle connections may use."""
FORK_SECONDS = 60.0
"""Maximum seconds that a fork waits for transactions to end."""

Identity = tuple[int, int]
Open = Callable[[], apsw.Connection]

_FLAGS = (
    apsw.SQLITE_OPEN_READWRITE
    | apsw.SQLITE_OPEN_CREATE
    | apsw.SQLITE_OPEN_NOFOLLOW
    | apsw.SQLITE_OPEN_EXRESCODE
)


@dataclass(frozen=True)
class _Kept:
    identity: Identity
    connection: apsw.Connection


class ConnectionPool:
    """Idle connections by path; the least recently used is closed first. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changed = threading.Condition()
        self._idle: OrderedDict[str, list[_Kept]] = OrderedDict()
        self._count = 0
        self._lent = 0

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return self._count

    def borrowed(self, path: str, open_: Open) -> Loan:
        """Lend a connection to `path` that nobody else uses, opened by `open_` if there is none."""
        return Loan(self, path, open_)

    def forget(self, path: str) -> None:
        """Close the idle connections to `path`."""
        with self._changed:
            gone = self._idle.pop(path, [])
            self._count -= len(gone)
        for kept in gone:
            kept.connection.close()

    def take(self, path: str, open_: Open) -> _Kept:
        """Lend a connection until it is given back."""
        with self._changed:
            self._lent += 1
        try:
            return self._take(path) or _opened(path, open_)
        except BaseException:
            self.give_back(path, None)
            raise

    def _take(self, path: str) -> _Kept | None:
        identity = _identity(path)
        while True:
            with self._changed:
                mine = self._idle.get(path)
                if not mine:
                    return None
                kept = mine.pop()
                if not mine:
                    del self._idle[path]
                self._count -= 1
            if kept.identity == identity:
                return kept
            # The tenant's directory was removed or replaced: the file is not the one at this path
            # now.
            kept.connection.close()

    def give_back(self, path: str, kept: _Kept | None) -> None:
        """Take a connection back; None if none was lent after all."""
        excess: list[apsw.Connection] = []
        with self._changed:
            self._lent -= 1
            if not self._lent:
                self._changed.notify_all()  # a fork may wait for this
            if kept is not None and kept.connection.in_transaction:
                excess.append(kept.connection)
            elif kept is not None:
                self._idle.setdefault(path, []).append(kept)
                self._idle.move_to_end(path)
                self._count += 1
                while self._count > self.limit:
                    excess.append(self._oldest())
        for connection in excess:
            connection.close()

    def _oldest(self) -> apsw.Connection:
        path, idle = next(iter(self._idle.items()))
        kept = idle.pop(0)
        if not idle:
            del self._idle[path]
        self._count -= 1
        return kept.connection

    def before_fork(self) -> None:
        """Wait for transactions to end and close all connections."""
        self._changed.acquire()
        self._changed.wait_for(lambda: self._lent == 0, timeout=FORK_SECONDS)
        for idle in self._idle.values():
            for kept in idle:
                kept.connection.close()
        self._idle.clear()
        self._count = 0

    def after_fork_in_parent(self) -> None:
        """Allow transactions again."""
        self._changed.release()

    def after_fork_in_child(self) -> None:
        """Begin with an empty pool."""
        self._changed = threading.Condition()
        self._lent = 0


class Loan:
    """The context in which a connection is lent; a generator would cost as much as a look-up."""

    def __init__(self, pool: ConnectionPool, path: str, open_: Open) -> None:
        self._pool, self._path, self._open = pool, path, open_
        self._kept: _Kept | None = None

    def __enter__(self) -> apsw.Connection:
        self._kept = self._pool.take(self._path, self._open)
        return self._kept.connection

    def __exit__(self, *_: object) -> None:
        self._pool.give_back(self._path, self._kept)


def connect(path: str) -> apsw.Connection:
    """Open or create the database. The path must not contain symbolic links."""
    return apsw.Connection(path, flags=_FLAGS)


def _opened(path: str, open_: Open) -> _Kept:
    connection = open_()
    identity = _identity(path)
    if identity is None:
        connection.close()
        raise FileNotFoundError(2, "the index was removed while it was opened")
    return _Kept(identity, connection)


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def most_idle(files: int) -> int:
    """Return the number of connections that may be idle if the process may open so many files."""
    if files == resource.RLIM_INFINITY:
        return MAX_IDLE
    return min(max(int(files * SHARE / DESCRIPTORS), IDLE_LEAST), MAX_IDLE)


POOL: Final = ConnectionPool(most_idle(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
os.register_at_fork(
    before=POOL.before_fork,
    after_in_parent=POOL.after_fork_in_parent,
    after_in_child=POOL.after_fork_in_child,
)
