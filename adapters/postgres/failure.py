"""What PostgreSQL and psycopg report, in the vocabulary of `commands/error.py`.

Only SQLSTATE codes and class names are passed on: messages can hold values of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from adapters.postgres.config import BACKEND_TYPE
from commands.error import (
    InsufficientStorage,
    InternalError,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    TooLarge,
    Unavailable,
)
from commands.scope import Scope

_MISSING = (errors.InvalidCatalogName, errors.InvalidSchemaName, errors.UndefinedTable)
_DENIED = (
    errors.InvalidPassword,
    errors.InvalidAuthorizationSpecification,
    errors.InsufficientPrivilege,
)
_FULL = (errors.DiskFull, errors.OutOfMemory)
_LATER = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.TooManyConnections,
    errors.ReadOnlySqlTransaction,
)


def translate(error: Exception) -> SignalboxError:
    """The error in our words."""
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
    if isinstance(error, _FULL):
        return InsufficientStorage(f"PostgreSQL has no space ({state})", next_step="give it some")
    if isinstance(error, errors.ProgramLimitExceeded):
        return TooLarge(f"PostgreSQL takes no such row ({state})", next_step="make it smaller")
    if isinstance(error, (psycopg.OperationalError, PoolTimeout, OSError, *_LATER)):
        return Unavailable(
            f"PostgreSQL does not answer ({state})",
            next_step="it is tried again; check host and port if it stays so",
        )
    return InternalError(f"PostgreSQL answers {state}", next_step="look the code up; report it")


@contextmanager
def postgres_errors(scope: Scope) -> Iterator[None]:
    """Let only SignalboxErrors out, each naming its place."""
    place = {
        "kind": scope.kind,
        "tenant_id": scope.tenant_id,
        "env": scope.env,
        "backend_type": BACKEND_TYPE,
    }
    try:
        yield
    except SignalboxError as error:
        error.at(**place)
        raise
    except (psycopg.Error, PoolTimeout, OSError) as error:
        raise translate(error).at(**place) from error
