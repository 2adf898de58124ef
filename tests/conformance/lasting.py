"""Servers that live as long as the tests: each starts once, for the cases of all files."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

_STARTER = "TESTS_START_LASTING"
"""The variable that names the socket of the process that starts them for the others."""


@cache
def start_lasting(*arguments: str, quiet: bool = False) -> str:
    """The first line that a program of Python prints; empty if it ends without one. The end of its
    standard input ends it, so that it cannot outlive the tests, not even killed ones.

    It is the same for all processes of `pytest -n`: what is slow to start and to warm up does so
    once. So each case keeps to names of its own there.
    """
    if (starter := os.environ.get(_STARTER)) is None:
        return _start(*arguments, quiet=quiet)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(starter)
        connection.sendall(json.dumps([arguments, quiet]).encode() + b"\n")
        with connection.makefile("r") as answer:
            return answer.readline().strip()


def start_for_others() -> None:
    """Start them in this process from now on, for all that inherit its environment."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    os.environ[_STARTER] = f"{folder.name}/starter"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ[_STARTER])
    listener.listen(64)
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()


def _serve(listener: socket.socket) -> None:
    started: dict[str, Future[str]] = {}
    with ThreadPoolExecutor(64) as threads:
        while True:
            connection, _ = listener.accept()
            with connection.makefile("r") as call:
                asked = call.readline()
            if asked not in started:
                arguments, quiet = json.loads(asked)
                started[asked] = threads.submit(_start, *arguments, quiet=quiet)
            threads.submit(_answer, connection, started[asked])


def _answer(connection: socket.socket, line: Future[str]) -> None:
    with connection:
        connection.sendall(line.result().encode() + b"\n")


def _start(*arguments: str, quiet: bool) -> str:
    server = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    )
    assert server.stdout is not None
    atexit.register(_end, server)
    return server.stdout.readline().strip()


def _end(server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait(timeout=60)
