"""The engine that sends every request by boto3."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.aws.client import bounded
from signalbox.adapters.aws.failure import status_of
from signalbox.adapters.object_driver import Opened, StoredObject
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import checked_etag, checked_size, checked_span, unusable
from signalbox.adapters.s3.config import S3Config
from signalbox.adapters.s3.engine import Headers, Target
from signalbox.adapters.s3.metadata import split
from signalbox.adapters.service_clock import ServiceClock
from signalbox.commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Boto3Engine:
    """An Engine by boto3. botocore's own retry observes the time limit too."""

    def __init__(
        self, client: S3Client, config: S3Config, scope: Scope, clock: ServiceClock
    ) -> None:
        self._client = client
        self.config = config
        self.scope = scope
        self._clock = clock

    @property
    def client(self) -> S3Client:
        return self._client

    @property
    def checks_content(self) -> bool:
        """Whether content that is read is compared with the checksum that S3 keeps."""
        return self.config.checksums == "when_supported"

    @contextmanager
    def bounded(self, limit: TimeLimit) -> Iterator[None]:
        """Have effects whose requests expire with the limit, after S3's time is known."""
        self._clock.learn(self._ask_time)
        with bounded(limit):
            yield

    def _ask_time(self) -> None:
        # Any response has a date.
        with suppress(ClientError, BotoCoreError):
            self._client.head_bucket(Bucket=self.config.bucket)

    def put(self, target: Target, content: bytes, limit: TimeLimit, condition: Headers) -> str:
        with self.bounded(limit):
            answer = self._client.put_object(
                **address(target),
                **properties(target),
                **checksum(target.config, content),
                **condition,
                Body=content,
            )
        return checked_etag("S3", answer.get("ETag"))

    def get(
        self, full_key: str, first: int | None, last: int | None, if_match: str | None = None
    ) -> Opened:
        request: dict[str, Any] = {"Bucket": self.config.bucket, "Key": full_key}
        if if_match is not None:
            request["IfMatch"] = if_match
        if first is not None or last is not None:
            request["Range"] = f"bytes={first or 0}-{'' if last is None else last}"
        answer = self._client.get_object(**request)
        size = checked_size("S3", answer.get("ContentLength"))
        start, whole = checked_span("S3", answer.get("ContentRange"), size, first, last)
        there = _present(answer, whole)
        return Opened(there, start, size, answer["Body"])

    def look(self, full_key: str, *, sure: bool) -> StoredObject | None:
        try:
            answer = self._client.head_object(Bucket=self.config.bucket, Key=full_key)
        except ClientError as error:
            if status_of(error) != 404:
                raise
            if sure:
                self.demand_bucket()
            return None
        return _present(answer, checked_size("S3", answer.get("ContentLength")))

    def delete(self, full_key: str, limit: TimeLimit, if_match: str | None = None) -> None:
        condition: dict[str, Any] = {} if if_match is None else {"IfMatch": if_match}
        with self.bounded(limit):
            self._client.delete_object(Bucket=self.config.bucket, Key=full_key, **condition)

    def demand_bucket(self) -> None:
        """Raise NoSuchBucket if the bucket does not exist."""
        try:
            self._client.head_bucket(Bucket=self.config.bucket)
        except ClientError as error:
            # Not permitted to ask. (Without permission to list, missing keys give 403 too, not
            # 404.)
            if status_of(error) != 403:
                raise


def _present(answer: Mapping[str, Any], size: int) -> StoredObject:
    if (modified := answer.get("LastModified")) is None:
        raise unusable("S3", "it has no date")
    etag = checked_etag("S3", answer.get("ETag"))
    beside = split(answer.get("Metadata", {}))
    return StoredObject(size, etag, modified, answer.get("ContentType", ""), *beside)


def checksum(config: S3Config, content: bytes | bytearray) -> dict[str, Any]:
    """Return the argument that lets S3 refuse a damaged body: a CRC32 that it keeps, or an MD5.

    It is set on each request, since botocore's own would follow the body, which a request signed in
    its query cannot have.
    """
    if config.checksums == "when_supported":
        digest = zlib.crc32(content).to_bytes(4, "big")
        return {"ChecksumCRC32": base64.b64encode(digest).decode("ascii")}
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"ContentMD5": base64.b64encode(digest).decode("ascii")}


def address(target: Target) -> dict[str, Any]:
    """Return the arguments that name the object."""
    return {"Bucket": target.config.bucket, "Key": target.full_key}


def properties(target: Target) -> dict[str, Any]:
    """Return the arguments for content type, metadata and encryption."""
    fields: dict[str, Any] = {"ContentType": target.content_type, "Metadata": target.metadata}
    if target.config.kms_key_id:
        fields |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": target.config.kms_key_id}
    return fields
