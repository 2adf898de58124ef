"""How long the disk takes to keep something: what *durable* costs on this machine."""

from __future__ import annotations

import os
import statistics
import tempfile

from benchmarks.figure import milliseconds

WRITES = 100
APPENDS = 8


def synced_ms() -> float:
    """Milliseconds to append 4 KiB and sync them, the median, where benchmarks keep their files.

    Hundredths of a millisecond and less mean memory, or a disk that promises more than it keeps.
    """
    with tempfile.NamedTemporaryFile() as file:
        number = file.fileno()

        def append() -> None:
            os.write(number, b"x" * 4096)
            os.fsync(number)

        return statistics.median(milliseconds(append) for _ in range(WRITES))


def appended_ms() -> float:
    """Milliseconds until a small append is on the disk, the median of a few: beside a load, to tell
    its time from the disk's."""
    with tempfile.NamedTemporaryFile() as file:
        number = file.fileno()

        def append() -> None:
            os.write(number, b"x" * 128)
            os.fdatasync(number)

        return statistics.median(milliseconds(append) for _ in range(APPENDS))
