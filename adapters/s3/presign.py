"""Presigned forms and URLs for S3; makes no network call.

Both are signed with SigV4 for the region's own host. They expire with the credentials that signed
them: those of an assumed role may live shorter than `expires`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from signalbox.adapters.s3.config import S3Config
from signalbox.commands.object_store import PresignedGet, PresignedPost, PresignedPut

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def sign_post(
    client: S3Client,
    config: S3Config,
    full_key: str,
    content_type: str,
    sizes: tuple[int, int],
    expires: timedelta,
) -> PresignedPost:
    """Return a form for uploads of this key and content type, with a size within the limits."""
    fields = {"Content-Type": content_type, **_encryption(config)}
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", *sizes])
    seconds, expires_at = _expiry(expires)
    form = client.generate_presigned_post(
        Bucket=config.bucket,
        Key=full_key,
        Fields=fields,
        Conditions=conditions,
        ExpiresIn=seconds,
    )
    return PresignedPost(url=form["url"], fields=form["fields"], expires_at=expires_at)


def sign_put(
    client: S3Client, config: S3Config, full_key: str, content_type: str, expires: timedelta
) -> PresignedPut:
    """Return a URL to PUT the content to, with this content type; S3 cannot enforce a size."""
    params: dict[str, Any] = {"ContentType": content_type}
    if config.kms_key_id:
        params |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": config.kms_key_id}
    seconds, expires_at = _expiry(expires)
    url = client.generate_presigned_url(
        "put_object",
        Params={"Bucket": config.bucket, "Key": full_key, **params},
        ExpiresIn=seconds,
    )
    headers = {"Content-Type": content_type, **_encryption(config)}
    return PresignedPut(url=url, headers=headers, expires_at=expires_at)


def sign_get(client: S3Client, config: S3Config, full_key: str, expires: timedelta) -> PresignedGet:
    """Return a URL from which anyone can read the object until it expires."""
    seconds, expires_at = _expiry(expires)
    url = client.generate_presigned_url(
        "get_object", Params={"Bucket": config.bucket, "Key": full_key}, ExpiresIn=seconds
    )
    return PresignedGet(url=url, expires_at=expires_at)


def _encryption(config: S3Config) -> dict[str, str]:
    if not config.kms_key_id:
        return {}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": config.kms_key_id,
    }


def _expiry(expires: timedelta) -> tuple[int, datetime]:
    seconds = math.ceil(expires.total_seconds())
    return seconds, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
