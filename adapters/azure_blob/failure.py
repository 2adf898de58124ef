"""Translates errors of Azure and its SDK to SignalboxErrors.

Only codes and class names are passed on: messages can contain names, signatures or content.
"""

from __future__ import annotations

from azure.core import exceptions as azure

from signalbox.adapters.azure_blob.config import BACKEND_TYPE
from signalbox.adapters.azure_blob.failure_code import CODES, DENIED, DOWN, STATUSES, UNKNOWN
from signalbox.adapters.failure import Service
from signalbox.adapters.response_check import code_text, unread
from signalbox.commands.error import SignalboxError, Unavailable


def code_of(error: azure.AzureError) -> str:
    """Return the service's error code; empty if it has none that is safe to show."""
    code = getattr(error, "error_code", None)
    return code_text(getattr(code, "value", code) or "")


def status_of(error: azure.AzureError) -> int:
    """Return the HTTP status; 0 if unknown."""
    return int(getattr(error, "status_code", None) or 0)


def condition_failed(error: azure.HttpResponseError) -> bool:
    """Return whether an If-Match or If-None-Match failed."""
    return status_of(error) in (409, 412) and code_of(error) in (
        "ConditionNotMet",
        "BlobAlreadyExists",
        "TargetConditionNotMet",
    )


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError for an exception."""
    if isinstance(error, azure.AzureError):
        return _from_azure(error)
    if isinstance(error, OSError):
        return Unavailable(
            f"the connection to Azure broke ({type(error).__name__})",
            next_step="it is tried again",
        )
    # The SDK trusts responses to be Azure's, so this may be any exception, or a defect of ours.
    return unread("Azure", error)


def _from_azure(error: azure.AzureError) -> SignalboxError:
    code, status = code_of(error), status_of(error)
    answer = CODES.get(code)
    if answer is None and isinstance(error, azure.ClientAuthenticationError):
        answer = DENIED
    # A response that broke off has the status of a successful one, or none.
    other = UNKNOWN if 300 <= status < 500 else DOWN
    kind, text, next_step = answer or STATUSES.get(status, other)
    return kind(f"{text} ({code or status or type(error).__name__})", next_step=next_step)


SERVICE = Service(BACKEND_TYPE, "Azure", translate)
