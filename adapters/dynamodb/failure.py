"""Translates errors of DynamoDB and botocore to SignalboxErrors.

Messages of the service are not passed on: they can contain keys and content.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.aws.failure import (
    CHECK_CREDENTIALS,
    LATER,
    code_of,
    status_of,
    trace_of,
    translate_botocore,
)
from signalbox.adapters.deadline import current
from signalbox.adapters.dynamodb.config import BACKEND_TYPE
from signalbox.adapters.failure import Service
from signalbox.commands.error import (
    Contended,
    InsufficientStorage,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
)

Answer = tuple[type[SignalboxError], str, str]
_DOWN: Answer = (Unavailable, "DynamoDB could not do it now", LATER)
_CONTENDED: Answer = (Contended, "others are writing the same items", LATER)
_BUSY: Answer = (
    Throttled,
    "the table takes no more requests now",
    "it is tried again; if it stays, give the table more capacity or make it on-demand",
)
_DENIED: Answer = (
    PermissionDenied,
    "access is denied",
    "allow GetItem, PutItem, Query, BatchGetItem and BatchWriteItem on the table",
)
_BAD_CREDENTIALS: Answer = (PermissionDenied, "the credentials are not accepted", CHECK_CREDENTIALS)
_NO_TABLE: Answer = (
    Misconfigured,
    "the table does not exist",
    "check `table` and `region` in the route's config, and create it as docs/backends.md says",
)
_BAD_KEYS: Answer = (
    Misconfigured,
    "the table does not take the request",
    "its partition key must be `pk` (S) and its sort key `sk` (B), and it has no other index",
)
_TOO_LARGE: Answer = (
    TooLarge,
    "it is over what an item of DynamoDB takes (400 KB with its names)",
    "send less, or keep large content in an object_store",
)

_SIZE_WORDS = (
    "size has exceeded",
    "size to update has exceeded",
    "exceeds the maximum",
    "too large",
)
_CODES: dict[str, Answer] = {
    **dict.fromkeys(("ResourceNotFoundException", "TableNotFoundException"), _NO_TABLE),
    **dict.fromkeys(("AccessDeniedException", "AccessDenied"), _DENIED),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "InvalidClientTokenId",
            "ExpiredTokenException",
            "ExpiredToken",
        ),
        _BAD_CREDENTIALS,
    ),
    **dict.fromkeys(
        (
            "ProvisionedThroughputExceededException",
            "ProvisionedThroughputExceeded",
            "ThrottlingException",
            "ThrottlingError",
            "Throttling",
            "RequestLimitExceeded",
            "LimitExceededException",
        ),
        _BUSY,
    ),
    **dict.fromkeys(
        (
            "TransactionConflictException",
            "TransactionConflict",
            "TransactionInProgressException",
            "TransactionCanceledException",
            "ReplicatedWriteConflictException",
        ),
        _CONTENDED,
    ),
    **dict.fromkeys(("InternalServerError", "ServiceUnavailable"), _DOWN),
    **dict.fromkeys(
        ("ItemCollectionSizeLimitExceededException", "ItemCollectionSizeLimitExceeded"),
        (InsufficientStorage, "a partition is full", "remove the table's local secondary indexes"),
    ),
    "RequestEntityTooLarge": _TOO_LARGE,
}


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError, without tenant and so on.

    Must be called within the failed call.
    """
    if isinstance(error, OSError):
        if (deadline := current()) is not None and deadline.fault:
            return deadline.error("DynamoDB")
        return Unavailable(f"no answer from DynamoDB ({type(error).__name__})", next_step=LATER)
    if isinstance(error, BotoCoreError):
        return translate_botocore(error, "DynamoDB")
    assert isinstance(error, ClientError)  # noqa: S101 - one of SERVICE's failures
    kind, text, next_step = _answer(error)
    return kind(f"{text} ({trace_of(error)})", next_step=next_step)


def translate_reason(code: str) -> SignalboxError:
    """Return the error for one item of a cancelled transaction, by the code of its reason."""
    kind, text, next_step = _TOO_LARGE if code == "ValidationError" else _CODES.get(code, _DOWN)
    return kind(f"{text} ({code} in a transaction)", next_step=next_step)


def nonsense(error: Exception) -> Unavailable:
    """Return the error for a response that botocore cannot parse."""
    return Unavailable(
        f"DynamoDB's answer makes no sense ({type(error).__name__})",
        next_step="see what answers at the route's endpoint; it is tried again",
    )


def too_large(what: str) -> TooLarge:
    """Return the error for an item over the size limit."""
    return TooLarge(
        f"{what} is over what an item of DynamoDB takes (400 KB with its names)",
        next_step="send less, or keep large content in an object_store",
    )


def is_size(error: ClientError) -> bool:
    """Return whether a ValidationException is about the size of an item."""
    text = str(error.response.get("Error", {}).get("Message", "")).lower()
    return any(words in text for words in _SIZE_WORDS)


def _answer(error: ClientError) -> Answer:
    code, status = code_of(error), status_of(error)
    if code == "ValidationException":
        return _TOO_LARGE if is_size(error) else _BAD_KEYS
    if code in _CODES:
        return _CODES[code]
    if status >= 500:
        return _DOWN
    if status == 413:
        return _TOO_LARGE
    return (Misconfigured, "DynamoDB refuses it", "check the route's config")


SERVICE = Service(
    BACKEND_TYPE, "DynamoDB", translate, failures=(ClientError, BotoCoreError, OSError)
)
