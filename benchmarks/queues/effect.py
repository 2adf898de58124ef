"""The puts that the other queues' tasks do: durable and once, with no more guarantee."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path

_TABLE = "puts.db"


def durable_put(folder: str, name: str, data: str) -> None:
    """Write `data` so that it outlasts a power cut; raises OSError.

    The file's modification time is the moment at which it was durable.
    """
    target = os.path.join(folder, name)
    descriptor = os.open(target + ".part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(descriptor, data.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(target + ".part", target)
    parent = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
    now = time.time_ns()
    os.utime(target, ns=(now, now))


def durable_puts(folder: str, puts: Sequence[tuple[str, str]]) -> None:
    """Write all of them, name and data, in one transaction with one sync, as Signalbox' embedded
    object store does with what comes together. Raises sqlite3.Error."""
    table = _table(folder)
    with table:
        table.execute("BEGIN IMMEDIATE")
        table.executemany("INSERT INTO puts VALUES (?, ?)", puts)


def count(folder: Path) -> int:
    """Puts that are complete, of either form."""
    names = os.listdir(folder)
    files = sum(1 for name in names if not name.endswith(".part") and _TABLE not in name)
    if _TABLE not in names:
        return files
    with closing(sqlite3.connect(folder / _TABLE, timeout=60)) as table:
        try:
            [rows] = table.execute("SELECT count(*) FROM puts").fetchone()
        except sqlite3.OperationalError:  # it is being made
            return files
        return files + int(rows)


@lru_cache(maxsize=1)
def _table(folder: str) -> sqlite3.Connection:
    """A round's table, as this process has it open until the next round."""
    table = sqlite3.connect(os.path.join(folder, _TABLE), timeout=60, isolation_level=None)
    table.execute("PRAGMA journal_mode = WAL")
    table.execute("PRAGMA synchronous = FULL")
    table.execute("CREATE TABLE IF NOT EXISTS puts (name TEXT PRIMARY KEY, data) WITHOUT ROWID")
    return table
