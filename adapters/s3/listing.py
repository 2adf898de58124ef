"""One request for a page of names, and what its errors say of where the page begins."""

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
        # One that is missing on a page that is cut off is no token.
        token=page.get("NextContinuationToken", ...) if page.get("IsTruncated") else None,
    )


def token_fault(error: Exception) -> TokenFault | None:
    if not isinstance(error, ClientError):
        return None
    if code_of(error) in ("InvalidArgument", "InvalidToken"):
        return TokenFault.REFUSED
    # 503 asks to slow down.
    return TokenFault.CRASHED if status_of(error) in (500, 501, 502) else None
