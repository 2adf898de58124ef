"""Translates errors of Firestore and gRPC to SignalboxErrors.

Messages of the service are not passed on: they name documents and can contain content.
"""

from __future__ import annotations

from google.api_core import exceptions as api
from google.auth import exceptions as auth

from signalbox.adapters.failure import Service
from signalbox.adapters.firestore.config import BACKEND_TYPE
from signalbox.commands.error import (
    Contended,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
)

LATER = "it is tried again; nothing is to be done unless it stays"
_SIZE_WORDS = ("longer than", "exceeds", "maximum", "too large", "too many", "too big", "size")

CHANGED = (api.FailedPrecondition, api.AlreadyExists, api.NotFound)
"""Errors of a write whose precondition failed; NotFound also means a missing database."""
PASSING = (api.ServiceUnavailable, api.Aborted)
"""Errors after which another attempt is made at once."""


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError for an exception, without tenant and so on."""
    name = type(error).__name__
    if isinstance(error, auth.TransportError):
        return Unavailable(f"no answer about credentials ({name})", next_step=LATER)
    if isinstance(error, api.Unauthenticated | auth.GoogleAuthError) or _is_revoked(error):
        return PermissionDenied(
            f"the credentials are not accepted ({name})",
            next_step="check the route's `credentials_file`, or the worker's own identity",
        )
    if isinstance(error, api.PermissionDenied | api.Forbidden):
        return PermissionDenied(
            f"access is denied ({name})",
            next_step="give the service account the role roles/datastore.user in the project",
        )
    if isinstance(error, api.NotFound):
        return Misconfigured(
            "the project or its database does not exist",
            next_step="check `project` and `database` in the route's config",
        )
    if isinstance(error, api.ResourceExhausted | api.TooManyRequests):
        return Throttled(f"Firestore asks for fewer requests ({name})", next_step=LATER)
    if isinstance(error, api.InvalidArgument | api.BadRequest):
        return _invalid(error)
    if isinstance(error, api.Aborted):
        return Contended(f"others are writing the same documents ({name})", next_step=LATER)
    if isinstance(error, api.MethodNotImplemented):
        return Misconfigured(
            f"the database cannot do this ({name})",
            next_step="use a Firestore database in Native mode",
        )
    return Unavailable(f"Firestore could not do it now ({name})", next_step=LATER)


def too_large(what: str) -> TooLarge:
    """Return the error for a document over the size limit."""
    return TooLarge(
        f"{what} is over what a document of Firestore takes (1 MiB with its names and indexes)",
        next_step="send less, or keep large content in an object_store",
    )


def _is_revoked(error: Exception) -> bool:
    # gRPC reports UNAVAILABLE for any failure to fetch a token.
    return isinstance(error, api.ServiceUnavailable) and "invalid_grant" in (error.message or "")


def _invalid(error: api.GoogleAPICallError) -> SignalboxError:
    text = (error.message or "").lower()
    if isinstance(error, api.FailedPrecondition):
        # Not a write's precondition, which was handled before: Datastore mode, or a missing index.
        return Misconfigured(
            "the database does not serve this request (FailedPrecondition)",
            next_step="use a database in Native mode, and exempt no field from its indexes but "
            "those that docs/backends.md names",
        )
    if any(word in text for word in _SIZE_WORDS):
        return too_large("it")
    return Misconfigured(
        f"Firestore does not take the request ({type(error).__name__})",
        next_step="check `project`, `database` and `prefix` in the route's config",
    )


SERVICE = Service(
    BACKEND_TYPE,
    "Firestore",
    translate,
    failures=(api.GoogleAPICallError, auth.GoogleAuthError),
)
