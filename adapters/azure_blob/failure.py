"""What Azure and its SDK report, in the vocabulary of `commands/error.py`.

Only codes and class names are passed on: messages can hold names, signatures or content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core import exceptions as azure

from adapters.azure_blob.config import BACKEND_TYPE
from adapters.azure_blob.failure_code import CODES, DENIED, DOWN, STATUSES, UNKNOWN
from commands.error import SignalboxError, Unavailable
from commands.scope import Scope


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
    answer = CODES.get(code)
    if answer is None and isinstance(error, azure.ClientAuthenticationError):
        answer = DENIED
    # An answer that broke off has the status of a good one, or none.
    other = UNKNOWN if 300 <= status < 500 else DOWN
    kind, text, next_step = answer or STATUSES.get(status, other)
    return kind(f"{text} ({code or status or type(error).__name__})", next_step=next_step)


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
