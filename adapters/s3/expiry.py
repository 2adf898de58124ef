"""Makes boto3's writes expire: S3 refuses a write that arrives after its time limit.

A worker may be suspended anywhere between its last check of the time and the first byte. Every
attempt of botocore is signed anew, and checks the limit right before it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import botocore

from signalbox.adapters.aws.client import check_limit, current_limit
from signalbox.adapters.aws.query_signature import Signer
from signalbox.adapters.response_check import unusable
from signalbox.adapters.service_clock import ServiceClock

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

GOOD = (200, 204, 206)
"""S3's statuses for success."""
_SIGNED = ("content-md5", "content-type", "if-match", "if-none-match")
_MARK = "signalbox_bounded"


def enforce(client: S3Client, credentials: Credentials | None, clock: ServiceClock) -> None:
    """Make all effects of the client (`bounded`) expire with their time limit.

    Except for S3 Express and multi-region access points, which have signatures of their own.
    """
    events = client.meta.events

    def choose(signature_version: str, context: dict[str, Any], **_: Any) -> Any:
        if (
            current_limit() is None
            or credentials is None
            or signature_version not in ("s3v4", "v4")
        ):
            return None
        context[_MARK] = True
        return botocore.UNSIGNED

    def sign(request: AWSRequest, **_: Any) -> None:
        limit = current_limit()
        if limit is None or credentials is None or not request.context.get(_MARK):
            return
        frozen = credentials.get_frozen_credentials()
        region = request.context.get("signing", {}).get("region") or client.meta.region_name
        signer = Signer(frozen.access_key or "", frozen.secret_key or "", frozen.token, region)
        parts = urlsplit(str(request.url))
        headers = {"host": parts.netloc}
        for name, value in request.headers.items():
            if (lower := name.lower()) in _SIGNED or lower.startswith("x-amz-"):
                headers[lower] = value.decode() if isinstance(value, bytes) else value
        query = parse_qsl(parts.query, keep_blank_values=True)
        at, expiry = clock.window(limit)
        query_string = signer.sign(
            str(request.method), parts.path, query, headers, at=at, expiry=expiry
        )
        request.url = parts._replace(query=query_string).geturl()

    def observe(response_dict: dict[str, Any] | None, **_: Any) -> None:
        if response_dict is not None:
            clock.observe(response_dict["headers"].get("Date"))
            # botocore takes everything below 300 for a success.
            if (status := response_dict["status_code"]) not in GOOD and status < 300:
                raise unusable("S3", f"its status is {status}")

    events.register_first("choose-signer.s3", choose)
    events.register_last("request-created.s3", sign)
    events.register_first("before-send.s3", check_limit)
    events.register("response-received.s3", observe)
