"""What S3 and botocore report, in the vocabulary of `commands/error.py`.

Only codes, class names and request ids are passed on: messages of services and of parameter
checks can hold keys, signatures or content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from adapters.s3.failure_code import (
    CHECK_CREDENTIALS,
    CODES,
    DOWN,
    LATER,
    MISSING_BUCKET,
    STATUSES,
    WRONG_REGION,
)
from commands.error import (
    IntegrityMismatch,
    InvalidCommand,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Unavailable,
)
from commands.scope import ResourceKind, Scope

_OWN_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.UnknownCredentialError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.UnknownTokenProviderError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.LoginError,
)
_NO_ANSWER = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.MetadataRetrievalError,
    # The instance's metadata service or a credential process, which come and go.
    boto.CredentialRetrievalError,
)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def condition_failed(error: ClientError) -> bool:
    """412, or 404 for an `If-Match` on a key that is not there. A missing bucket is neither."""
    return status_of(error) == 412 or code_of(error) in ("PreconditionFailed", "NoSuchKey")


def translate(error: ClientError | BotoCoreError) -> SignalboxError:
    """The error for callers, without a place; every family of botocore's has one."""
    if isinstance(error, ClientError):
        return _from_answer(error)
    name = type(error).__name__
    if isinstance(error, _OWN_CREDENTIALS):
        return PermissionDenied(f"no usable credentials ({name})", next_step=CHECK_CREDENTIALS)
    if isinstance(error, _NO_ANSWER):
        return Unavailable(f"no answer from S3 ({name})", next_step=LATER)
    if isinstance(error, boto.ProfileNotFound):
        return Misconfigured(
            "the profile does not exist in the worker",
            next_step="create it there, or name another `profile` in the route's config",
        )
    if isinstance(error, boto.ChecksumError | boto.FlexibleChecksumError):
        return IntegrityMismatch(f"what S3 sent is damaged ({name})", next_step="read it again")
    if isinstance(error, boto.ParamValidationError):
        return InvalidCommand(
            f"S3 cannot be asked this ({name})", next_step="check the key and the route's config"
        )
    return Misconfigured(f"the S3 client cannot work ({name})", next_step="check the route")


@contextmanager
def s3_errors(scope: Scope) -> Iterator[None]:
    """Let only SignalboxErrors out, each naming its place."""
    place = {"tenant_id": scope.tenant_id, "env": scope.env, "backend_type": "s3"}
    try:
        yield
    except SignalboxError as error:
        error.at(kind=ResourceKind.OBJECT_STORE, **place)
        raise
    except (ClientError, BotoCoreError) as error:
        raise translate(error).at(kind=ResourceKind.OBJECT_STORE, **place) from error


def _from_answer(error: ClientError) -> SignalboxError:
    code, status = code_of(error), status_of(error)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if code == "400" and "x-amz-bucket-region" in headers:
        # A HEAD has no body to say AuthorizationHeaderMalformed in.
        answer = WRONG_REGION
    elif status == 404 and error.operation_name == "HeadBucket":
        answer = MISSING_BUCKET
    else:
        fallback = DOWN if status >= 500 else (Misconfigured, "S3 refuses it", "check the route")
        answer = CODES.get(code) or STATUSES.get(status, fallback)
    kind, text, next_step = answer
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    trace = f", request {request_id}" if request_id else ""
    return kind(f"{text} ({code or status} to {error.operation_name}{trace})", next_step=next_step)
