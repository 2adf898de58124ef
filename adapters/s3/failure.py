"""What S3 and botocore report, in the vocabulary of `commands/error.py`.

Only codes, class names and request ids are passed on: messages of services and of parameter
checks can hold keys, signatures or content.
"""

from __future__ import annotations

from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError

from adapters.answer import unread
from adapters.aws.failure import LATER, code_of, status_of, trace_of, translate_botocore
from adapters.deadline import Deadline, enter, leave
from adapters.s3.failure_code import (
    CODES,
    DOWN,
    MISSING_BUCKET,
    STATUSES,
    WRONG_REGION,
)
from commands.error import LeaseExpired, Misconfigured, SignalboxError, Unavailable
from commands.scope import ResourceKind, Scope


def condition_failed(error: ClientError) -> bool:
    """412, or 404 for an `If-Match` on a key that is not there. A missing bucket is neither."""
    return status_of(error) == 412 or code_of(error) in ("PreconditionFailed", "NoSuchKey")


def translate(error: Exception) -> SignalboxError:
    """The error for callers, without a place; every family of botocore's has one."""
    if isinstance(error, ClientError):
        return _from_answer(error)
    if isinstance(error, BotoCoreError):
        return translate_botocore(error, "S3")
    if isinstance(error, OSError):
        return Unavailable(f"the connection to S3 broke ({type(error).__name__})", next_step=LATER)
    # botocore reads answers as if they were S3's; so it may be anything. Or a mistake of ours.
    return unread("S3", error)


class s3_errors:  # noqa: N801 - used like a function; one made by contextlib costs more than a key
    """Let only SignalboxErrors out, each naming its place; what is within has this time.

    Raises LeaseExpired at once where the lease is over.
    """

    __slots__ = ("_deadline", "_scope", "_token")

    def __init__(self, scope: Scope, deadline: Deadline | None = None) -> None:
        self._scope = scope
        self._deadline = deadline

    def __enter__(self) -> None:
        if self._deadline is not None:
            self._deadline.check_lease()
            self._token = enter(self._deadline)

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        deadline, scope = self._deadline, self._scope
        if deadline is not None:
            leave(self._token)
        if error is None:
            return
        place = {"tenant_id": scope.tenant_id, "env": scope.env, "backend_type": "s3"}
        if isinstance(error, SignalboxError):
            error.at(kind=ResourceKind.OBJECT_STORE, **place)
        elif isinstance(error, Exception):
            if deadline is not None and deadline.fault and not isinstance(error, ClientError):
                said: SignalboxError = deadline.error("S3")
            else:
                said = translate(error)
            raise said.at(kind=ResourceKind.OBJECT_STORE, **place) from error


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
    if code == "AccessDenied" and "expired" in error.response["Error"].get("Message", ""):
        return LeaseExpired(f"S3 refused a request that came after the lease ({trace_of(error)})")
    kind, text, next_step = answer
    return kind(f"{text} ({trace_of(error)})", next_step=next_step)
