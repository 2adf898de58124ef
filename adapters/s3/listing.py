"""List requests to S3, and what their errors say about the token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signalbox.adapters.aws.failure import code_of, status_of
from signalbox.adapters.object_driver import Entry, Page, TokenFault

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def list_names(
    client: S3Client, bucket: str, prefix: str, delimiter: str | None, limit: int, token: str | None
) -> Page:
    """Make one list request."""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": limit}
    if delimiter:
        request["Delimiter"] = delimiter
    if token is not None:
        request["ContinuationToken"] = token
    page = client.list_objects_v2(**request)
    return Page(
        entries=[
            Entry(entry["Key"], entry["Size"], entry["ETag"], entry["LastModified"])
            for entry in page.get("Contents", [])
        ],
        folded=[entry["Prefix"] for entry in page.get("CommonPrefixes", [])],
        # A truncated page without a token gets an invalid one.
        token=page.get("NextContinuationToken", ...) if page.get("IsTruncated") else None,
    )


def token_fault(error: Exception) -> TokenFault | None:
    """Return what an error of a list says about the token; None if nothing."""
    if not isinstance(error, ClientError):
        return None
    if code_of(error) in ("InvalidArgument", "InvalidToken"):
        return TokenFault.REFUSED
    # 503 asks to slow down.
    return TokenFault.CRASHED if status_of(error) in (500, 501, 502) else None
