"""A copy of a state server's append-only file, taken while it runs, and put back."""

from __future__ import annotations

import shutil
from pathlib import Path

from signalbox.producers.embedded.redis_server import RedisServer


def back_up(data: Path, backup: Path) -> None:
    """Copy the append-only file, or from Redis 7 on its folder, as it is at this moment."""
    shutil.rmtree(backup, ignore_errors=True)
    backup.mkdir()
    for path in data.glob("appendonly*"):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, backup / path.name)
    assert any(backup.iterdir())


def put_back(server: RedisServer, data: Path, backup: Path) -> None:
    """Crash the server, and bring it back with what the copy holds."""
    server.kill()
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    server.start()
