"""What a filesystem backend holds, found without Signalbox: in the indexes themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def keys_below(folder: Path) -> list[str]:
    """The keys of all objects in all scopes below `folder`."""
    found: list[str] = []
    for index in sorted(folder.rglob("objects.db")):
        with closing(sqlite3.connect(index)) as connection:
            found += [key.decode() for (key,) in connection.execute("SELECT key FROM objects")]
    return found
