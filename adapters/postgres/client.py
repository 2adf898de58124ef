"""The process's connections to PostgreSQL: one pool for a distinct route config.

Nothing here survives a fork: the child begins without pools.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors, sql

from signalbox.adapters.client_cache import ClientCache
from signalbox.adapters.credential_file import read_password
from signalbox.adapters.deadline import CONNECT_SECONDS, REQUEST_SECONDS, within
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.postgres.column_rank import function
from signalbox.adapters.postgres.config import PostgresConfig
from signalbox.adapters.postgres.connection import BoundedConnection
from signalbox.adapters.postgres.pool import Pool

MAX_POOLS = 64
LOCK_SECONDS = 2.0
"""Shorter than the silence after which a breaker opens, since a locked row says nothing about the
server."""
# Of two workers that meet a new schema at once, one makes it and the other waits.
_MAKING = 7_126_004_231

_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.rows (
    tenant text NOT NULL,
    env text NOT NULL,
    tab text NOT NULL,
    key bytea NOT NULL,
    seq bigint NOT NULL,
    gone timestamptz,
    data text,
    mark text,
    PRIMARY KEY (tenant, env, tab, key)
)
"""
_TOMBSTONES = """
CREATE INDEX IF NOT EXISTS rows_tombstones ON {schema}.rows (gone) WHERE gone IS NOT NULL
"""
_MARK = "ALTER TABLE {schema}.rows ADD COLUMN IF NOT EXISTS mark text"
# Asked first: the statement above locks the table, and only its owner may give it.
_COMPLETE = """
SELECT 1 FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attname = 'mark' AND NOT attisdropped
"""
_HAS_FUNCTION = "SELECT to_regprocedure(%s) IS NOT NULL"


# A worker that has no more to do there keeps no connection, and one that is frozen no lock. Servers
# before 14 do not know the first.
_REST = """
SELECT set_config(name, '90s', false) FROM pg_settings
WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout')
"""


@contextmanager
def connected(config: PostgresConfig, limit: TimeLimit) -> Iterator[psycopg.Connection[Any]]:
    """Lend a connection in a transaction, committed at the end of the block, within the limit.

    Raises Misconfigured for a bad reference, Unavailable for a server that takes too long or sends
    too much, and psycopg's errors.
    """
    with within(limit), _pool_of(config).lent() as connection:
        # So that an honest server gives up by itself, and its connection can be used again. A
        # worker that is frozen between two statements locks its rows no longer than this limit.
        left = max(1, int(min(limit.remaining(), REQUEST_SECONDS) * 1000))
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), "
            "set_config('idle_in_transaction_session_timeout', %s, true), "
            "set_config('lock_timeout', %s, true)",
            (f"{left}", f"{left}", f"{min(left, int(LOCK_SECONDS * 1000))}"),
        )
        yield connection


def _pool_of(config: PostgresConfig) -> Pool:
    """Return the pool of a config; makes no call, so that nobody waits for another's server."""
    # With the time of the file: a rotated password makes a new pool.
    key = (config, _changed(config.password_file))
    return _pools.get(key, lambda: Pool(_Maker(config)))


def _no_pools() -> ClientCache[tuple[PostgresConfig, int], Pool]:
    return ClientCache(MAX_POOLS, evict=Pool.close)


_pools = _no_pools()


def _forget() -> None:
    # The parent's sockets are shared with the child: neither used nor closed there.
    global _pools
    _pools = _no_pools()


os.register_at_fork(after_in_child=_forget)


class _Maker:
    """Makes connections with one config. The first creates the tables and reports a wrong route."""

    def __init__(self, config: PostgresConfig) -> None:
        self._config = config
        self._has_tables = False

    def __call__(self) -> BoundedConnection:
        connection = BoundedConnection.within(**_options(self._config))
        try:
            schema = self._config.db_schema
            connection.execute(_REST)
            connection.commit()
            if not self._has_tables:
                _make_tables(connection, schema)
                connection.commit()
                self._has_tables = True
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection


def _options(config: PostgresConfig) -> dict[str, Any]:
    options: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "dbname": config.database,
        "user": config.user,
        "password": _password(config),
        "sslmode": config.sslmode,
        "connect_timeout": int(CONNECT_SECONDS),
        "application_name": "signalbox",
        # With standard_conforming_strings off, keys would be stored as the text of their bytes, and
        # backslashes in the definition of an index be doubled.
        "options": "-c synchronous_commit=on -c standard_conforming_strings=on",
        # No file of the user's says with which password; host and database stand above.
        "passfile": os.devnull,
    }
    if config.password_file is not None:
        # It is proven, and never sent as it is, whatever the server asks for.
        options["require_auth"] = "!password"
    if config.sslrootcert is not None:
        options["sslrootcert"] = config.sslrootcert
    return options


def _make_tables(connection: psycopg.Connection[Any], schema: str) -> None:
    name = sql.Identifier(schema)
    if connection.execute(_COMPLETE, (f"{schema}.rows",)).fetchone() is None:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        for statement in (_TABLE, _TOMBSTONES, _MARK):
            connection.execute(sql.SQL(statement).format(schema=name))
        connection.commit()
    _make_function(connection, schema)


def _make_function(connection: psycopg.Connection[Any], schema: str) -> None:
    asked = (f"{schema}.column_rank(text,text)",)
    for look in (1, 2):
        if connection.execute(_HAS_FUNCTION, asked).fetchone() == (True,):
            return
        if look == 1:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
    # Queries by column alone need it, and say so: all else goes on.
    with suppress(errors.InsufficientPrivilege), connection.transaction():
        connection.execute(function(schema))


def _password(config: PostgresConfig) -> str:
    if config.password_file is None:
        return ""
    return read_password(config.password_file, "put the password into it, readable for the worker")


def _changed(path: str | None) -> int:
    try:
        return os.stat(path).st_mtime_ns if path else 0
    except OSError:
        return 0
