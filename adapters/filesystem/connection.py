"""SQLite connections of this process: borrowed for one transaction, kept for the next.

They are not bound to threads: a worker has many adapters and many threads, and one connection
for each pair would use up its file descriptors. None is open across a fork: the locks of a
parent are not those of its child, but SQLite's books of them would be copied.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import apsw

IDLE_MOST = 64
"""Connections kept open in a process."""
FORK_PATIENCE = 60.0
"""Seconds that a fork waits for transactions to end."""

Identity = tuple[int, int]
Prepare = Callable[[apsw.Connection], None]

_FLAGS = (
    apsw.SQLITE_OPEN_READWRITE
    | apsw.SQLITE_OPEN_CREATE
    | apsw.SQLITE_OPEN_NOFOLLOW
    | apsw.SQLITE_OPEN_EXRESCODE
)


@dataclass(frozen=True)
class _Kept:
    path: str
    identity: Identity
    connection: apsw.Connection


class ConnectionPool:
    """Idle connections by path, the longest unused leaving first. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[_Kept] = []
        self._lent = 0

    @property
    def idle(self) -> int:
        """Connections that wait for their next transaction."""
        return len(self._idle)

    @contextmanager
    def borrowed(self, path: str, prepare: Prepare) -> Iterator[apsw.Connection]:
        """A connection that no one else uses; `prepare` sees a new one first."""
        with self._changed:
            self._lent += 1
        kept: _Kept | None = None
        try:
            kept = self._take(path) or _connect(path, prepare)
            yield kept.connection
        finally:
            spare = self._give_back(kept)
            for connection in spare:
                connection.close()

    def forget(self, path: str) -> None:
        """Close the idle connections to `path`."""
        with self._changed:
            gone = [kept for kept in self._idle if kept.path == path]
            self._idle = [kept for kept in self._idle if kept.path != path]
        for kept in gone:
            kept.connection.close()

    def _take(self, path: str) -> _Kept | None:
        identity = _identity(path)
        with self._changed:
            mine = [kept for kept in self._idle if kept.path == path]
            for kept in reversed(mine):
                self._idle.remove(kept)
                if kept.identity == identity:
                    return kept
                # The tenant's directory was removed or put back: that file is not ours now.
                kept.connection.close()
        return None

    def _give_back(self, kept: _Kept | None) -> list[apsw.Connection]:
        with self._changed:
            self._lent -= 1
            self._changed.notify_all()
            if kept is None:
                return []
            if kept.connection.in_transaction:
                return [kept.connection]
            self._idle.append(kept)
            excess, self._idle = self._idle[:-IDLE_MOST], self._idle[-IDLE_MOST:]
        return [kept.connection for kept in excess]

    def before_fork(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._lent == 0, timeout=FORK_PATIENCE)
        while self._idle:
            self._idle.pop().connection.close()

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        self._changed = threading.Condition()
        self._lent = 0


def _connect(path: str, prepare: Prepare) -> _Kept:
    connection = apsw.Connection(path, flags=_FLAGS)
    try:
        prepare(connection)
        identity = _identity(path)
        if identity is None:
            raise FileNotFoundError(2, "the index was removed while it was opened")
    except BaseException:
        connection.close()
        raise
    return _Kept(path, identity, connection)


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


POOL: Final = ConnectionPool()
os.register_at_fork(
    before=POOL.before_fork,
    after_in_parent=POOL.after_fork_in_parent,
    after_in_child=POOL.after_fork_in_child,
)
