"""Forms and addresses with which others reach one object for a while; nothing is called.

Both are SigV4 on the region's own host. They end with the credentials that signed them: those
of an assumed role may live shorter than `expires`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from adapters.s3.location import Location
from commands.error import Unsupported
from commands.object_store import (
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PresignGet,
    PresignPost,
    PresignPut,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def presign_post(client: S3Client, location: Location, command: PresignPost) -> PresignedPost:
    """A form that takes this key, this content type and a size within the limits, only."""
    if location.config.is_access_point:
        raise Unsupported(
            "S3 takes no form posts through an access point",
            next_step="route to the bucket itself for browser uploads",
        )
    fields = {"Content-Type": command.content_type}
    if location.config.kms_key_id:
        fields |= {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": location.config.kms_key_id,
        }
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", command.min_bytes, command.max_bytes])
    seconds, expires_at = _expiry(command.expires)
    form = client.generate_presigned_post(
        Bucket=location.bucket,
        Key=location.full_key(command.key),
        Fields=fields,
        Conditions=conditions,
        ExpiresIn=seconds,
    )
    return PresignedPost(url=form["url"], fields=form["fields"], expires_at=expires_at)


def presign_put(client: S3Client, location: Location, command: PresignPut) -> PresignedPut:
    """An address to PUT the content to, with this content type; S3 cannot hold it to a size."""
    headers = {"Content-Type": command.content_type}
    params: dict[str, Any] = {"ContentType": command.content_type}
    if location.config.kms_key_id:
        params |= {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": location.config.kms_key_id,
        }
        headers |= {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": location.config.kms_key_id,
        }
    seconds, expires_at = _expiry(command.expires)
    url = client.generate_presigned_url(
        "put_object",
        Params={"Bucket": location.bucket, "Key": location.full_key(command.key), **params},
        ExpiresIn=seconds,
    )
    return PresignedPut(url=url, headers=headers, expires_at=expires_at)


def presign_get(client: S3Client, location: Location, command: PresignGet) -> PresignedGet:
    """An address that anyone who has it may read from until it ends."""
    seconds, expires_at = _expiry(command.expires)
    url = client.generate_presigned_url(
        "get_object",
        Params={"Bucket": location.bucket, "Key": location.full_key(command.key)},
        ExpiresIn=seconds,
    )
    return PresignedGet(url=url, expires_at=expires_at)


def _expiry(expires: timedelta) -> tuple[int, datetime]:
    seconds = math.ceil(expires.total_seconds())
    return seconds, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
