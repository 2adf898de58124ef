"""Error codes and HTTP statuses of Azure Blob Storage, with error, meaning and next step."""

from __future__ import annotations

from signalbox.adapters.object_range import PastEnd
from signalbox.commands.error import (
    BackendError,
    InsufficientStorage,
    InvalidCommand,
    InvalidKey,
    Misconfigured,
    NotFound,
    PermissionDenied,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)

_LATER = "it is tried again"

Answer = tuple[type[SignalboxError], str, str]
DENIED: Answer = (
    PermissionDenied,
    "Azure refuses these credentials",
    "check the route's reference and what it may do in the container",
)
DOWN: Answer = (
    Unavailable,
    "Azure does not answer",
    "it is tried again; check account_url if it stays so",
)
UNKNOWN: Answer = (BackendError, "Azure reports the unexpected", "look it up in Azure's list")
_OTHER: Answer = (
    InvalidCommand,
    "Azure cannot be asked this",
    "check the key and the route's config",
)
_CHANGED: Answer = (Unavailable, "the object changed meanwhile", _LATER)
_UNDER_WAY: Answer = (Unavailable, "another operation is under way", _LATER)
_UNUSABLE: Answer = (
    Misconfigured,
    "the container cannot be used",
    "create it, or name another in the route's config",
)
_DISABLED: Answer = (Misconfigured, "the account is disabled", "enable it, or switch the route")
_MISSING: Answer = (NotFound, "there is no such object", "check the key")
_RANGE: Answer = (PastEnd, "the range begins past the end", "ask for less")
_SIZE: Answer = (TooLarge, "it is over a limit of Azure", "send less, or in several objects")
_BUSY: Answer = (Throttled, "Azure asks to slow down", _LATER)
_FULL: Answer = (InsufficientStorage, "the account takes no data", "see Azure's portal")
# It was verified before it was sent, so sending it again helps.
_DAMAGED: Answer = (Unavailable, "the content was damaged on its way", _LATER)
_DROPPED: Answer = (
    Unavailable,
    "the blocks of this upload were dropped by another one",
    _LATER,
)
_KEPT: Answer = (
    PermissionDenied,
    "a policy of the container keeps the object as it is",
    "wait for its end, or change the immutability policy or legal hold",
)
_LEASED: Answer = (
    Unavailable,
    "someone holds an Azure lease on the object",
    "it is tried again; break the lease if it stays so",
)
_ARCHIVED: Answer = (Unsupported, "the object is archived", "rehydrate it first")
_OTHER_TYPE: Answer = (
    Misconfigured,
    "another program made this blob, as a page or append blob",
    "remove it, or give the route a container or prefix of its own",
)
_ELSEWHERE: Answer = (Misconfigured, "account_url leads elsewhere", "give the account's own")

MISSING_CONTAINER = frozenset({"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"})
CODES: dict[str, Answer] = {
    **dict.fromkeys(MISSING_CONTAINER, _UNUSABLE),
    "AccountIsDisabled": _DISABLED,
    "ConditionNotMet": _CHANGED,
    "ServerBusy": _BUSY,
    **dict.fromkeys(("OperationTimedOut", "InternalError"), DOWN),
    **dict.fromkeys(("RequestBodyTooLarge", "BlockCountExceedsLimit", "MetadataTooLarge"), _SIZE),
    **dict.fromkeys(("Md5Mismatch", "Crc64Mismatch"), _DAMAGED),
    **dict.fromkeys(("InvalidBlockList", "InvalidBlobOrBlock"), _DROPPED),
    **dict.fromkeys(
        ("BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "ObjectIsImmutable"), _KEPT
    ),
    **dict.fromkeys(("LeaseIdMissing", "LeaseLost", "LeaseIdMismatchWithBlobOperation"), _LEASED),
    **dict.fromkeys(("BlobArchived", "BlobBeingRehydrated"), _ARCHIVED),
    "InvalidBlobType": _OTHER_TYPE,
    "InvalidResourceName": (InvalidKey, "Azure takes no such name", "use another key"),
}
STATUSES: dict[int, Answer] = {
    **dict.fromkeys((301, 302, 307, 308), _ELSEWHERE),
    400: _OTHER,
    **dict.fromkeys((401, 403), DENIED),
    404: _MISSING,
    408: DOWN,
    409: _UNDER_WAY,
    412: _CHANGED,
    413: _SIZE,
    416: _RANGE,
    429: _BUSY,
    507: _FULL,
}
