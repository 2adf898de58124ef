"""Error codes and HTTP statuses of S3 and compatible services, with meaning and next step."""

from __future__ import annotations

from signalbox.adapters.aws.failure import CHECK_CREDENTIALS, LATER
from signalbox.adapters.object_range import PastEnd
from signalbox.commands.error import (
    InsufficientStorage,
    InvalidKey,
    Misconfigured,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)

_BUCKET = "check `bucket` in the route's config, and that it exists"
_REGION = "set `region` in the route's config to the one the bucket is in"
_ACCESS = (
    "allow it in the policies of the role and the bucket "
    "(and s3:ListBucket, without which a missing key looks forbidden)"
)

Answer = tuple[type[SignalboxError], str, str]
MISSING_BUCKET: Answer = (Misconfigured, "the bucket does not exist", _BUCKET)
WRONG_REGION: Answer = (Misconfigured, "the bucket is in another region", _REGION)
_DENIED: Answer = (PermissionDenied, "access is denied", _ACCESS)
_BAD_CREDENTIALS: Answer = (PermissionDenied, "the credentials are not accepted", CHECK_CREDENTIALS)
_BUSY: Answer = (Throttled, "S3 asks for fewer requests", LATER)
DOWN: Answer = (Unavailable, "S3 could not do it now", LATER)
_DAMAGED: Answer = (Unavailable, "the content was damaged on its way", LATER)
_BAD_KMS_KEY: Answer = (
    Misconfigured,
    "the KMS key cannot be used",
    "check `kms_key_id` in the route's config",
)
_FULL: Answer = (InsufficientStorage, "the backend is full", "give it space, or switch the route")
_TOO_LARGE: Answer = (TooLarge, "it is over a limit of S3", "send less, or in several objects")
_CHANGED: Answer = (
    PreconditionFailed,
    "the object is not in the state demanded",
    "read it again and decide anew",
)
_MISSING: Answer = (NotFound, "there is no such object", "check the key")
_OTHER_CALL: Answer = (Unsupported, "the service does not know this", "use another backend for it")

CODES: dict[str, Answer] = {
    **dict.fromkeys(("NoSuchBucket", "NoSuchAccessPoint", "InvalidBucketName"), MISSING_BUCKET),
    **dict.fromkeys(
        (
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "301",
        ),
        WRONG_REGION,
    ),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "Forbidden", "403"), _DENIED),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "TokenRefreshRequired",
            "InvalidSecurity",
            "AccountProblem",
        ),
        _BAD_CREDENTIALS,
    ),
    "RequestTimeTooSkewed": (PermissionDenied, "the worker's clock is wrong", "set its clock"),
    **dict.fromkeys(
        (
            "SlowDown",
            "ServiceUnavailable",
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
            "BandwidthLimitExceeded",
        ),
        _BUSY,
    ),
    **dict.fromkeys(
        (
            "InternalError",
            "RequestTimeout",
            "OperationAborted",
            "ConditionalRequestConflict",
            "TemporaryRedirect",
            "NoSuchUpload",
        ),
        DOWN,
    ),
    # It was verified before it was sent, so sending it again helps.
    **dict.fromkeys(("BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"), _DAMAGED),
    **dict.fromkeys(
        ("KMS.NotFoundException", "KMS.DisabledException", "KMS.KMSInvalidStateException"),
        _BAD_KMS_KEY,
    ),
    **dict.fromkeys(("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"), _FULL),
    **dict.fromkeys(("EntityTooLarge", "MetadataTooLarge"), _TOO_LARGE),
    "KeyTooLongError": (InvalidKey, "the key is too long for S3", "use a shorter one"),
    "InvalidObjectState": (Unsupported, "the object is archived", "restore it first"),
    "InvalidRange": (PastEnd, "the range begins past the end", "head the object first"),
    "PreconditionFailed": _CHANGED,
    "NoSuchKey": _MISSING,
    "NotImplemented": _OTHER_CALL,
}
STATUSES: dict[int, Answer] = {
    301: WRONG_REGION,
    307: DOWN,
    401: _BAD_CREDENTIALS,
    403: _DENIED,
    404: _MISSING,
    408: DOWN,
    409: DOWN,
    412: _CHANGED,
    413: _TOO_LARGE,
    416: CODES["InvalidRange"],
    429: _BUSY,
    501: _OTHER_CALL,
    503: _BUSY,
    507: _FULL,
}
