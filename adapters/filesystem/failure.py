"""Translates errors of the operating system and SQLite to SignalboxErrors."""

from __future__ import annotations

import errno
import os

import apsw

from signalbox.adapters.failure import Service
from signalbox.adapters.filesystem.config import BACKEND_TYPE
from signalbox.commands.error import (
    BackendError,
    InsufficientStorage,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Unavailable,
)

# EFBIG: a limit on file sizes is a kind of quota.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WRONG_PLACE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError for an exception, without tenant and so on."""
    if isinstance(error, OSError):
        return _from_system(error)
    # Otherwise it is one of SQLite's.
    name = type(error).__name__
    if isinstance(error, apsw.FullError):
        return InsufficientStorage("the disk is full", next_step="free space below base_dir")
    if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.IOError | apsw.ProtocolError):
        return Unavailable(f"the index is busy ({name})", next_step="it is tried again")
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
        return PermissionDenied(
            "the index cannot be written", next_step="let the worker write below base_dir"
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.CantOpenError):
        return Misconfigured(
            f"the index below base_dir cannot be used ({name})",
            next_step="restore the tenant's directory, or route to another base_dir",
        )
    return BackendError(f"the index failed ({name})", next_step="see the worker's log")


SERVICE = Service(BACKEND_TYPE, "the filesystem", translate, failures=(OSError, apsw.Error))


def _from_system(error: OSError) -> SignalboxError:
    number = error.errno or 0
    text = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
    if number in _FULL:
        return InsufficientStorage(text, next_step="free space below base_dir, or raise its quota")
    if number in _DENIED:
        return PermissionDenied(text, next_step="let the worker read and write below base_dir")
    if number in _WRONG_PLACE:
        return Misconfigured(
            f"base_dir cannot be used: {text}",
            next_step="let base_dir name a directory; below it no link or plain file may stand in",
        )
    return Unavailable(text, next_step="it is tried again")
