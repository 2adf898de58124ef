"""One SQLite database of a scope, in WAL mode with full sync: transactions and schema."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial

import apsw

from signalbox.adapters.filesystem.connection import POOL, Loan, connect
from signalbox.adapters.filesystem.scope_directory import Growth, ScopeDirectory
from signalbox.adapters.port import TimeLimit
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import Misconfigured

BUSY_SECONDS = 5.0
"""Maximum seconds to wait for another writer."""


class Database:
    """The database `name` in the scope's directory. Thread-safe, and safe among processes."""

    def __init__(
        self,
        directory: ScopeDirectory,
        name: str,
        schema: str,
        version: int,
        upgrades: Mapping[int, str] | None = None,
    ) -> None:
        """`upgrades` are statements that lead from an older version of the schema to the next."""
        self._directory = directory
        self._name = name
        self._schema = schema
        self._version = version
        self._upgrades = upgrades or {}

    def reading(self) -> Transaction:
        """Run a read transaction, which sees one state throughout."""
        return self._transaction("BEGIN", BUSY_SECONDS)

    def looking(self) -> Transaction:
        """Run one reading statement, which by itself sees one state."""
        return self._transaction(None, BUSY_SECONDS)

    def writing(self, seconds: float = BUSY_SECONDS) -> Transaction:
        """Run a transaction as the only writer; wait for others up to `seconds`.

        It is committed at the end of the block, and rolled back if that raises. If the commit
        itself raises, it may or may not have taken effect.
        """
        # Immediate: a read that turns into a write later would fail if another write came between.
        return self._transaction("BEGIN IMMEDIATE", seconds)

    def transaction(self, limit: TimeLimit) -> Transaction:
        """Run a write transaction within the limit."""
        return self.writing(max(0.001, limit.deadline - lease_clock()))

    def close(self) -> None:
        """Close the idle connections."""
        POOL.forget(self._path())

    def _path(self) -> str:
        return f"{self._directory.path}/{self._name}"

    def _transaction(self, begin: str | None, seconds: float) -> Transaction:
        path = self._path()
        return Transaction(POOL.borrowed(path, partial(self._open, path)), begin, seconds)

    def _open(self, path: str) -> apsw.Connection:
        if not os.path.lexists(path):
            self._make_directory()
        connection = connect(path)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        connection.set_busy_timeout(int(1000 * BUSY_SECONDS))
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if self._found_version(connection) == self._version:
            return
        connection.execute("BEGIN IMMEDIATE")
        found = self._found_version(connection)
        if found == 0:
            connection.execute(self._schema)
            found = self._version
        while found in self._upgrades:
            connection.execute(self._upgrades[found])
            found += 1
        if found == self._version:
            connection.execute(f"PRAGMA user_version = {self._version:d}")
        connection.execute("COMMIT")
        growth = Growth()
        self._directory.touched((), growth)
        self._directory.sync(growth)
        if found != self._version:
            raise Misconfigured(
                f"{self._name} has the layout {found}, this release knows {self._version}",
                next_step="run the release that wrote it, or route to another base_dir",
            )

    def _found_version(self, connection: apsw.Connection) -> int:
        return int(connection.pragma("user_version"))

    def _make_directory(self) -> None:
        growth = Growth()
        with self._directory.made((), growth):
            self._directory.sync(growth)


class Transaction:
    """The context of a transaction on a lent connection; see `Database`."""

    def __init__(self, loan: Loan, begin: str | None, seconds: float) -> None:
        """`begin` is the statement that begins it, None for a statement that stands alone."""
        self._loan = loan
        self._begin = begin
        self._milliseconds = int(1000 * max(0.001, min(seconds, BUSY_SECONDS)))

    def __enter__(self) -> apsw.Connection:
        connection = self._loan.__enter__()
        try:
            connection.set_busy_timeout(self._milliseconds)
            if self._begin is not None:
                connection.execute(self._begin)
        except BaseException:
            self._loan.__exit__()
            raise
        self._connection = connection
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            if error is not None:
                self._undo(error)
            elif self._begin is not None:
                self._commit()
        finally:
            self._loan.__exit__()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._undo(error)
            raise

    def _undo(self, error: BaseException) -> None:
        """Roll back. Raises OSError where the system's error number tells more than SQLite."""
        # Read before anything else runs: SQLite reports a quota, or a limit on file sizes, as an
        # I/O error like any other.
        number = self._connection.system_errno if isinstance(error, apsw.IOError) else 0
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if number:
            raise OSError(number, os.strerror(number)) from error


def _use_wal(connection: apsw.Connection) -> None:
    # SQLite does not wait for its own lock when two processes switch a new file to WAL.
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return
