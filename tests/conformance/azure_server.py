"""Runs as a program: Azurite's blob service, until this program's standard input ends.

Its argument is Azurite's script. It prints the port once Azurite answers. So Azurite cannot
outlive the tests, not even killed ones: their end closes the pipe.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
from typing import IO

STARTS = 3
"""Another program may take the free port before Azurite does."""


def start(script: str, folder: str) -> tuple[subprocess.Popen[str], int] | None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    # In the process group of this program, so that what ends the group ends it too.
    azurite = subprocess.Popen(
        [
            *("node", script, "--blobHost", "127.0.0.1", "--blobPort", str(port)),
            *("--skipApiVersionCheck", "--disableTelemetry", "--location", folder),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert azurite.stdout is not None
    for line in azurite.stdout:
        if "successfully listen" in line:
            threading.Thread(target=drain, args=(azurite.stdout,), daemon=True).start()
            return azurite, port
        if "starting" not in line:
            sys.stderr.write(line)
    azurite.wait()
    return None


def drain(output: IO[str]) -> None:
    for _ in output:
        pass


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(STARTS):
            if started := start(sys.argv[1], folder):
                azurite, port = started
                with contextlib.suppress(KeyboardInterrupt):
                    print(port, flush=True)  # noqa: T201
                    sys.stdin.read()
                azurite.kill()
                azurite.wait()
                break
        else:
            sys.exit(1)
