"""What Azure and its SDK report, in the vocabulary of `commands/error.py`.

Only codes and class names are passed on: messages can hold names, signatures or content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core import exceptions as azure

from adapters.azure_blob.config import BACKEND_TYPE
from commands.error import (
    BackendError,
    InsufficientStorage,
    IntegrityMismatch,
    InvalidCommand,
    Misconfigured,
    NotFound,
    PermissionDenied,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
)
from commands.scope import Scope

MISSING_CONTAINER = {"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_LATER = {"ServerBusy", "OperationTimedOut", "InternalError"}


def code_of(error: azure.AzureError) -> str:
    """The service's own code; empty where it gave none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def status_of(error: azure.AzureError) -> int:
    return int(getattr(error, "status_code", None) or 0)


def condition_failed(error: azure.HttpResponseError) -> bool:
    """An If-Match or If-None-Match that did not hold."""
    return status_of(error) in (409, 412) and code_of(error) in (
        "ConditionNotMet",
        "BlobAlreadyExists",
        "TargetConditionNotMet",
    )


def translate(error: azure.AzureError) -> SignalboxError:
    """The error in our words."""
    code, status = code_of(error), status_of(error)
    if isinstance(error, azure.ClientAuthenticationError) or status in (401, 403):
        return PermissionDenied(
            f"Azure refuses these credentials ({code or status or type(error).__name__})",
            next_step="check the route's reference and what it may do in the container",
        )
    if code in MISSING_CONTAINER:
        return Misconfigured(
            f"the container cannot be used ({code})",
            next_step="create it, or name another in the route's config",
        )
    if status == 404:
        return NotFound("there is no such object", next_step="check the key")
    if status == 416:
        return InvalidCommand("the range begins past the end", next_step="ask for less")
    if status == 413 or code in ("RequestBodyTooLarge", "BlockCountExceedsLimit"):
        return TooLarge("Azure takes no object of this size", next_step="store it in pieces")
    if code in ("Md5Mismatch", "Crc64Mismatch"):
        return IntegrityMismatch("the content was damaged on its way", next_step="submit it again")
    if code == "AccountIsDisabled" or status == 507:
        return InsufficientStorage(f"the account takes no data ({code})", next_step="see Azure")
    if status == 429 or (status == 503 and code == "ServerBusy"):
        return Throttled("Azure asks to slow down", next_step="it is tried again")
    if status >= 500 or code in _LATER or not isinstance(error, azure.HttpResponseError):
        return Unavailable(
            f"Azure does not answer ({code or status or type(error).__name__})",
            next_step="it is tried again; check account_url if it stays so",
        )
    if code in ("InvalidBlockList", "InvalidBlobOrBlock"):
        return Unavailable(
            "the blocks of this upload were dropped by another one", next_step="it is tried again"
        )
    if isinstance(error, azure.ResourceModifiedError):
        return Unavailable("the object changed while it was read", next_step="it is read again")
    if status == 400:
        return InvalidCommand(
            f"Azure cannot be asked this ({code or status})",
            next_step="check the key and the route's config",
        )
    return BackendError(f"Azure answers {status} {code}", next_step="look it up in Azure's list")


@contextmanager
def azure_errors(scope: Scope) -> Iterator[None]:
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
    except azure.AzureError as error:
        raise translate(error).at(**place) from error
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            raise
        raise Unavailable(
            f"the connection to Azure broke ({type(error).__name__})",
            next_step="it is tried again",
        ).at(**place) from error
