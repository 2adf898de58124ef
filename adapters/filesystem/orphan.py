"""Orphaned files, which a crash between a write and its commit leaves behind."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import apsw

from signalbox.adapters.filesystem.content import ContentFile
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.scope_directory import ScopeDirectory, Segments


def collect_orphans(scope_directory: ScopeDirectory, index: Database, older_than: timedelta) -> int:
    """Remove files without a row that were last written before this time ago; return how many.

    `older_than` must be longer than any writer may take: a file has no row before its transaction,
    and no transaction begins after its limit. Keeps the names of one directory, and of the orphans,
    in memory.
    """
    before = time.time() - older_than.total_seconds()
    with index.reading() as connection:
        connection.execute("CREATE TEMP TABLE candidate (file TEXT PRIMARY KEY) WITHOUT ROWID")
        try:
            # First the files, then the rows: a row that is committed in between keeps its file.
            connection.executemany(
                "INSERT INTO candidate VALUES (?)",
                ((str(file),) for file in _files(scope_directory, ("raw",), before)),
            )
            connection.execute("COMMIT")
            connection.execute("BEGIN")
            orphans = _unnamed(connection)
        finally:
            connection.execute("DROP TABLE temp.candidate")
    removed = 0
    for text in orphans:
        file = ContentFile.parse(text)
        with (
            suppress(FileNotFoundError),
            scope_directory.opened(("raw", *file.directory)) as directory,
        ):
            os.unlink(file.name, dir_fd=directory)
            removed += 1
    return removed


def _unnamed(connection: apsw.Connection) -> list[str]:
    found = connection.execute(
        "SELECT file FROM candidate WHERE file NOT IN (SELECT file FROM main.objects)"
    )
    return [str(file) for (file,) in found]


def _files(
    scope_directory: ScopeDirectory, segments: Segments, before: float
) -> Iterator[ContentFile]:
    try:
        with scope_directory.opened(segments) as directory:
            names = os.listdir(directory)
            below: list[str] = []
            for name in names:
                with suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        below.append(name)
                    elif status.st_mtime <= before:
                        yield ContentFile(segments[1:], name)
    except FileNotFoundError:
        return
    for name in below:
        yield from _files(scope_directory, (*segments, name), before)
