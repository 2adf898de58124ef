"""What Azure and its SDK report, in the vocabulary of `commands/error.py`.

Only codes and class names are passed on: messages can hold names, signatures or content.
"""

from __future__ import annotations

from azure.core import exceptions as azure

from signalbox.adapters.answer import code_text, unread
from signalbox.adapters.azure_blob.config import BACKEND_TYPE
from signalbox.adapters.azure_blob.failure_code import CODES, DENIED, DOWN, STATUSES, UNKNOWN
from signalbox.adapters.failure import Service
from signalbox.commands.error import SignalboxError, Unavailable


def code_of(error: azure.AzureError) -> str:
    """The service's own code; empty where it gave none that may be shown."""
    code = getattr(error, "error_code", None)
    return code_text(getattr(code, "value", code) or "")


def status_of(error: azure.AzureError) -> int:
    return int(getattr(error, "status_code", None) or 0)


def condition_failed(error: azure.HttpResponseError) -> bool:
    """An If-Match or If-None-Match that did not hold."""
    return status_of(error) in (409, 412) and code_of(error) in (
        "ConditionNotMet",
        "BlobAlreadyExists",
        "TargetConditionNotMet",
    )


def translate(error: Exception) -> SignalboxError:
    """The error in our words."""
    if isinstance(error, azure.AzureError):
        return _from_azure(error)
    if isinstance(error, OSError):
        return Unavailable(
            f"the connection to Azure broke ({type(error).__name__})",
            next_step="it is tried again",
        )
    # The SDK reads answers as if they were Azure's; so it may be anything. Or a mistake of ours.
    return unread("Azure", error)


def _from_azure(error: azure.AzureError) -> SignalboxError:
    code, status = code_of(error), status_of(error)
    answer = CODES.get(code)
    if answer is None and isinstance(error, azure.ClientAuthenticationError):
        answer = DENIED
    # An answer that broke off has the status of a good one, or none.
    other = UNKNOWN if 300 <= status < 500 else DOWN
    kind, text, next_step = answer or STATUSES.get(status, other)
    return kind(f"{text} ({code or status or type(error).__name__})", next_step=next_step)


SERVICE = Service(BACKEND_TYPE, "Azure", translate)
