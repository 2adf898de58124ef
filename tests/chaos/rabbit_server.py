"""Runs as a program: a RabbitMQ with many virtual hosts, until its standard input ends.

It prints its port and its folder; nothing where it cannot run.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos.part import CannotRun
from tests.chaos.rabbit import VIRTUAL_HOSTS, rabbit

if __name__ == "__main__":
    with (
        suppress(CannotRun),
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        rabbit(Path(folder), ["/", *VIRTUAL_HOSTS]) as broker,
    ):
        port = broker.url.rstrip("/").rpartition(":")[2]
        print(port, folder, flush=True)  # noqa: T201
        sys.stdin.read()
