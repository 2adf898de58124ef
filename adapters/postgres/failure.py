"""Translates errors of PostgreSQL and psycopg to SignalboxErrors.

Only SQLSTATE codes and class names are passed on: messages can contain values of rows.
"""

from __future__ import annotations

import psycopg
from psycopg import errors

from signalbox.adapters.failure import Service
from signalbox.adapters.postgres.config import BACKEND_TYPE
from signalbox.commands.error import (
    BackendResting,
    Contended,
    InsufficientStorage,
    IntegrityMismatch,
    InternalError,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    TooLarge,
    Unavailable,
)

LOCKED_SECONDS = 5.0
"""Seconds after which a locked row is tried again."""
_MISSING = (errors.InvalidCatalogName, errors.InvalidSchemaName, errors.UndefinedTable)
_DENIED = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InsufficientPrivilege,
)
_FULL = (errors.DiskFull, errors.OutOfMemory)
_LATER = (errors.TooManyConnections, errors.ReadOnlySqlTransaction)
# The database works: these say nothing about the next command.
_CONTENDED = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.QueryCanceled,
    errors.IdleInTransactionSessionTimeout,  # this worker was frozen beyond its time limit
)
# psycopg's own errors for a response that it cannot parse.
_NONSENSE = (psycopg.DataError, psycopg.InterfaceError)


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError for an exception."""
    state = getattr(error, "sqlstate", None) or type(error).__name__
    if isinstance(error, _DENIED):
        return PermissionDenied(
            f"PostgreSQL refuses this user ({state})",
            next_step="check user, password_file and its rights on the schema",
        )
    if isinstance(error, _MISSING):
        return Misconfigured(
            f"the database or schema is not there ({state})",
            next_step="create it, or name another in the route's config",
        )
    if isinstance(error, errors.UndefinedFunction):
        return Misconfigured(
            "the schema lacks the function column_rank, by which rows are filtered and ordered",
            next_step="have the schema's owner GRANT CREATE ON SCHEMA to the route's user until a "
            "worker has made it at its next connection",
        )
    if isinstance(error, errors.InvalidTextRepresentation):
        return IntegrityMismatch(
            f"the data of a row that the query looks at is not ours ({state})",
            next_step="find the row whose data is no JSON, and write it again",
        )
    if isinstance(error, _FULL):
        return InsufficientStorage(f"PostgreSQL has no space ({state})", next_step="give it some")
    if isinstance(error, errors.ProgramLimitExceeded):
        return TooLarge(f"PostgreSQL takes no such row ({state})", next_step="make it smaller")
    if isinstance(error, errors.LockNotAvailable):
        # Nothing was done, and an operator's lock may last, so this uses up no attempts.
        resting = BackendResting(
            f"others hold a lock on the rows ({state})",
            next_step="nothing is lost, it waits for them; see pg_locks for who they are",
        )
        resting.retry_after = LOCKED_SECONDS
        return resting
    if isinstance(error, _CONTENDED):
        return Contended(
            f"PostgreSQL gave it up for others, or because it took too long ({state})",
            next_step="it is tried again; see pg_stat_activity if it stays so",
        )
    if isinstance(error, _NONSENSE) and error.sqlstate is None:
        return Unavailable(
            f"PostgreSQL's answer makes no sense ({state})",
            next_step="see what answers at host and port; it is tried again",
        )
    if isinstance(error, (psycopg.OperationalError, OSError, *_LATER)):
        return Unavailable(
            f"PostgreSQL does not answer ({state})",
            next_step="it is tried again; check host and port if it stays so",
        )
    return InternalError(f"PostgreSQL answers {state}", next_step="look the code up; report it")


SERVICE = Service(BACKEND_TYPE, "PostgreSQL", translate, failures=(psycopg.Error, OSError))
