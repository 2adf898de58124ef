"""Runs as a program: Google's Firestore emulator, until this program's standard input ends.

Its argument is the emulator's jar. It prints the port once the emulator answers. So the emulator
cannot outlive the tests, not even killed ones: their end closes the pipe.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from typing import IO

MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
STARTS = 3
"""Another program may take the free port before the emulator does."""


def start(jar: str) -> tuple[subprocess.Popen[str], int] | None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    # In the process group of this program, so that what ends the group ends it too.
    emulator = subprocess.Popen(
        [
            *(
                "java",
                "-Xmx512m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Duser.language=en",
                "-cp",
                jar,
                MAIN,
            ),
            *("start", "--host=127.0.0.1", f"--port={port}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert emulator.stdout is not None
    for line in emulator.stdout:
        if "is now running" in line:
            threading.Thread(target=drain, args=(emulator.stdout,), daemon=True).start()
            return emulator, port
        sys.stderr.write(line)
    emulator.wait()
    return None


def drain(output: IO[str]) -> None:
    for _ in output:
        pass


if __name__ == "__main__":
    for _ in range(STARTS):
        if started := start(sys.argv[1]):
            emulator, port = started
            with contextlib.suppress(KeyboardInterrupt):
                print(port, flush=True)  # noqa: T201
                sys.stdin.read()
            emulator.kill()
            emulator.wait()
            break
    else:
        sys.exit(1)
