"""The put that every other queue's task does: durable and once, with no more guarantee."""

from __future__ import annotations

import os
import time
from pathlib import Path


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


def count(folder: Path) -> int:
    """Files that are complete."""
    return sum(1 for name in os.listdir(folder) if not name.endswith(".part"))
