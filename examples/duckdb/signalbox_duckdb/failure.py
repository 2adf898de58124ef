"""What DuckDB and the operating system report, in the vocabulary of `commands/error.py`."""

from __future__ import annotations

import duckdb

from signalbox.adapters.failure import Service
from signalbox.commands.error import (
    InsufficientStorage,
    InternalError,
    Misconfigured,
    SignalboxError,
    TooLarge,
    Unavailable,
)
from signalbox_duckdb.config import BACKEND_TYPE


def translate(error: Exception) -> SignalboxError:
    """The error in our words; DuckDB's own may hold content."""
    name = type(error).__name__
    if isinstance(error, OSError | duckdb.IOException):
        return Misconfigured(
            f"the database cannot be used ({name})",
            next_step="let base_dir name a folder that one worker process alone may write",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return InsufficientStorage(f"DuckDB has no memory ({name})", next_step="give it some")
    if isinstance(error, duckdb.OutOfRangeException):
        return TooLarge(f"DuckDB takes no such row ({name})", next_step="make it smaller")
    if isinstance(error, duckdb.TransactionException | duckdb.ConnectionException):
        return Unavailable(f"DuckDB could not do it now ({name})", next_step="it is tried again")
    return InternalError(f"DuckDB reports {name}", next_step="look it up; report it")


SERVICE = Service(BACKEND_TYPE, "DuckDB", translate, failures=(duckdb.Error, OSError))
