"""What S3 and botocore report, in the vocabulary of `commands/error.py`.

Only codes, class names and request ids are passed on: messages of services and of parameter
checks can hold keys, signatures or content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from adapters.aws.failure import code_of, status_of, trace_of, translate_botocore
from adapters.s3.failure_code import (
    CODES,
    DOWN,
    MISSING_BUCKET,
    STATUSES,
    WRONG_REGION,
)
from commands.error import Misconfigured, SignalboxError
from commands.scope import ResourceKind, Scope


def condition_failed(error: ClientError) -> bool:
    """412, or 404 for an `If-Match` on a key that is not there. A missing bucket is neither."""
    return status_of(error) == 412 or code_of(error) in ("PreconditionFailed", "NoSuchKey")


def translate(error: ClientError | BotoCoreError) -> SignalboxError:
    """The error for callers, without a place; every family of botocore's has one."""
    if isinstance(error, ClientError):
        return _from_answer(error)
    return translate_botocore(error, "S3")


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
    return kind(f"{text} ({trace_of(error)})", next_step=next_step)
