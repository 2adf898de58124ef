"""AWS for tests: a moto server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SERVER = Path(__file__).with_name("moto_server.py")
CREDENTIALS = """\
[default]
aws_access_key_id = conformance
aws_secret_access_key = conformance
"""


@contextmanager
def aws_server() -> Iterator[str]:
    """The address of a fresh AWS on a free loopback port."""
    # In a process of its own: moto's decorators in other tests would reset its state.
    # The end of its standard input ends it, so that it cannot outlive the tests.
    with subprocess.Popen(
        [sys.executable, "-P", str(_SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "the moto server did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
