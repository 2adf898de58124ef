"""Translates errors of S3 and botocore to SignalboxErrors.

Only codes, class names and request ids are passed on: messages of services and parameter checks can
contain keys, signatures or content.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.aws.failure import LATER, code_of, status_of, trace_of, translate_botocore
from signalbox.adapters.deadline import Expired
from signalbox.adapters.failure import Service
from signalbox.adapters.response_check import unread
from signalbox.adapters.s3.failure_code import (
    CODES,
    DOWN,
    MISSING_BUCKET,
    STATUSES,
    WRONG_REGION,
)
from signalbox.commands.error import Misconfigured, SignalboxError, Unavailable


def condition_failed(error: ClientError) -> bool:
    """Return whether a condition failed: 412, or 404 for an `If-Match` on a missing key.

    A missing bucket is neither.
    """
    return status_of(error) == 412 or code_of(error) in ("PreconditionFailed", "NoSuchKey")


def translate(error: Exception) -> SignalboxError:
    """Return the SignalboxError for an exception, without tenant and so on."""
    if isinstance(error, ClientError):
        return _from_answer(error)
    if isinstance(error, BotoCoreError):
        return translate_botocore(error, "S3")
    if isinstance(error, OSError):
        return Unavailable(f"the connection to S3 broke ({type(error).__name__})", next_step=LATER)
    # botocore trusts responses to be S3's, so this may be any exception, or a defect of ours.
    return unread("S3", error)


def _from_answer(error: ClientError) -> SignalboxError:
    code, status = code_of(error), status_of(error)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if code == "400" and "x-amz-bucket-region" in headers:
        # A HEAD has no body that could say AuthorizationHeaderMalformed.
        answer = WRONG_REGION
    elif status == 404 and error.operation_name == "HeadBucket":
        answer = MISSING_BUCKET
    else:
        fallback = DOWN if status >= 500 else (Misconfigured, "S3 refuses it", "check the route")
        answer = CODES.get(code) or STATUSES.get(status, fallback)
    if code == "AccessDenied" and "expired" in error.response["Error"].get("Message", ""):
        return Expired(f"S3 refused a request that came after its time limit ({trace_of(error)})")
    kind, text, next_step = answer
    return kind(f"{text} ({trace_of(error)})", next_step=next_step)


SERVICE = Service("s3", "S3", translate, answers=(ClientError,))
