"""Seeing what is under a key before anything is done to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from adapters.aws.failure import status_of
from adapters.s3.metadata import Present
from commands.error import PreconditionFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A `*` is left out on purpose: servers that drop the quotes would take it for any object.
_ETAG = re.compile(r"[A-Za-z0-9+/=_.-]{1,256}")


def look(client: S3Client, bucket: str, full_key: str, *, sure: bool) -> Present | None:
    """What is under `full_key`, None if nothing is.

    A HEAD has no body, so its 404 may also mean a missing bucket; `sure` asks for the bucket
    then and raises NoSuchBucket. Leave it out where a write follows that would say so itself.
    """
    try:
        answer = client.head_object(Bucket=bucket, Key=full_key)
    except ClientError as error:
        if status_of(error) != 404:
            raise
        if sure:
            _demand_bucket(client, bucket)
        return None
    return Present(
        size=answer["ContentLength"],
        etag=bare(answer["ETag"]),
        modified=answer["LastModified"],
        content_type=answer.get("ContentType", ""),
        metadata=answer.get("Metadata", {}),
    )


def bare(etag: str) -> str:
    """The ETag as Signalbox names it, without the quotes of HTTP."""
    return etag.strip('"')


def quoted(etag: str) -> str:
    """The ETag for an `If-Match`; PreconditionFailed for what cannot be one of S3's."""
    if not _ETAG.fullmatch(etag):
        raise PreconditionFailed(
            f"if_match {etag[:80]!r} is no ETag of S3",
            next_step="give the `etag` of a put, head or list, without quotes",
        )
    return f'"{etag}"'


def _demand_bucket(client: S3Client, bucket: str) -> None:
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        # Not allowed to ask; but who may not list gets 403 for missing keys too, not 404.
        if status_of(error) != 403:
            raise
