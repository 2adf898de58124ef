"""SQLite connections of this process: borrowed for one transaction, kept for the next.

They are not bound to threads: a worker has many adapters and many threads, and one connection
for each pair would use up its file descriptors. None is open across a fork: the locks of a
parent are not those of its child, but SQLite's books of them would be copied.
"""

from __future__ import annotations

import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import apsw

IDLE_LEAST, MAX_IDLE = 64, 1024
"""Connections kept open in a process, by how many files it may have open. One that has to be opened
anew costs a commit three times as much: closing the last one to a file empties its log."""
DESCRIPTORS = 3
"""Of a connection: the file, its log and the log's index."""
SHARE = 0.25
"""Of the files that the process may have open."""
FORK_PATIENCE = 60.0
"""Seconds that a fork waits for transactions to end."""

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
    """Idle connections by path, the longest unused leaving first. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changed = threading.Condition()
        self._idle: OrderedDict[str, list[_Kept]] = OrderedDict()
        self._count = 0
        self._lent = 0

    @property
    def idle(self) -> int:
        """Connections that wait for their next transaction."""
        return self._count

    @contextmanager
    def borrowed(self, path: str, open_: Open) -> Iterator[apsw.Connection]:
        """A connection to `path` that no one else uses, opened by `open_` if there is none."""
        with self._changed:
            self._lent += 1
        kept: _Kept | None = None
        try:
            kept = self._take(path) or _opened(path, open_)
            yield kept.connection
        finally:
            spare = self._give_back(path, kept)
            for connection in spare:
                connection.close()

    def forget(self, path: str) -> None:
        """Close the idle connections to `path`."""
        with self._changed:
            gone = self._idle.pop(path, [])
            self._count -= len(gone)
        for kept in gone:
            kept.connection.close()

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
            # The tenant's directory was removed or put back: that file is not ours now.
            kept.connection.close()

    def _give_back(self, path: str, kept: _Kept | None) -> list[apsw.Connection]:
        with self._changed:
            self._lent -= 1
            self._changed.notify_all()
            if kept is None:
                return []
            if kept.connection.in_transaction:
                return [kept.connection]
            self._idle.setdefault(path, []).append(kept)
            self._idle.move_to_end(path)
            self._count += 1
            excess = []
            while self._count > self.limit:
                excess.append(self._oldest())
        return excess

    def _oldest(self) -> apsw.Connection:
        path, its = next(iter(self._idle.items()))
        kept = its.pop(0)
        if not its:
            del self._idle[path]
        self._count -= 1
        return kept.connection

    def before_fork(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._lent == 0, timeout=FORK_PATIENCE)
        for its in self._idle.values():
            for kept in its:
                kept.connection.close()
        self._idle.clear()
        self._count = 0

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        self._changed = threading.Condition()
        self._lent = 0


def connect(path: str) -> apsw.Connection:
    """Open the database, or make it. The path must lead through no links."""
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
    """Connections that may be idle where the process may have so many files open."""
    if files == resource.RLIM_INFINITY:
        return MAX_IDLE
    return min(max(int(files * SHARE / DESCRIPTORS), IDLE_LEAST), MAX_IDLE)


POOL: Final = ConnectionPool(most_idle(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
os.register_at_fork(
    before=POOL.before_fork,
    after_in_parent=POOL.after_fork_in_parent,
    after_in_child=POOL.after_fork_in_child,
)
