"""Servers that live as long as this process: each starts once, for the cases of all files."""

from __future__ import annotations

import atexit
import subprocess
import sys


def start_lasting(*arguments: str, quiet: bool = False) -> str:
    """The first line that a program of Python prints; empty if it ends without one. The end of its
    standard input ends it, so that it cannot outlive the tests, not even killed ones."""
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
