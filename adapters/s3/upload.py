"""Content on its way to one key: in one request, or in parts with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from adapters.aws.client import leased
from adapters.port import Call
from adapters.s3.boto3_engine import address, digest, properties
from adapters.s3.engine import Engine, Target
from adapters.s3.etag import bare
from commands.error import TooLarge
from commands.payload import InlinePayload, StagedPayload, open_payload, verified_chunks

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_BYTES = 8 * 1024**2
MAX_PARTS = 10_000
MAX_OBJECT_BYTES = 5 * 1024**4

Content = InlinePayload | StagedPayload


def upload(
    engine: Engine, target: Target, content: Content, call: Call, condition: dict[str, Any]
) -> str:
    """Store `content` whole or not at all, and return its ETag.

    `condition` is `IfMatch` or `IfNoneMatch`; it is judged by the request that makes the object
    visible. Raises IntegrityMismatch before the last byte is sent, LeaseExpired, TooLarge, and
    botocore's errors.
    """
    if content.size > MAX_OBJECT_BYTES:
        raise TooLarge(
            f"{content.size} bytes are over the {MAX_OBJECT_BYTES} of an S3 object",
            next_step="store it as several objects",
        )
    if isinstance(content, InlinePayload) and content.size <= PART_BYTES:
        return engine.put(target, content.data, call, condition)
    with closing(open_payload(content, call.payloads)) as source:
        parts = _parts(verified_chunks(content, source), part_bytes(content.size))
        if content.size > PART_BYTES:
            return _in_parts(engine.client, target, parts, call, condition)
        # Joined before it is sent: a wrong content fails here, and nothing has gone out.
        body = b"".join(parts)
    return engine.put(target, body, call, condition)


def part_bytes(size: int) -> int:
    """8 MiB, or what `size` bytes need to fit into 10,000 parts (from 78 GiB on)."""
    return max(PART_BYTES, -(-size // MAX_PARTS))


def _parts(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) > size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _in_parts(
    client: S3Client, target: Target, parts: Iterator[bytes], call: Call, condition: dict[str, Any]
) -> str:
    """Our own multipart upload: that of boto3 cannot be conditional."""
    with leased(call):
        started = client.create_multipart_upload(**address(target), **properties(target))
    upload_id = started["UploadId"]
    try:
        sent: list[Any] = []
        for number, body in enumerate(parts, start=1):
            with leased(call):
                part = client.upload_part(
                    **address(target),
                    **digest(target, body),
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=body,
                )
            checksums = {"ChecksumCRC32": part["ChecksumCRC32"]} if "ChecksumCRC32" in part else {}
            sent.append({"PartNumber": number, "ETag": part["ETag"], **checksums})
        with leased(call):
            done = client.complete_multipart_upload(
                **address(target), **condition, UploadId=upload_id, MultipartUpload={"Parts": sent}
            )
    except BaseException:
        # Parts cost money until they are given up; a bucket's lifecycle rule does the rest.
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**address(target), UploadId=upload_id)
        raise
    return bare(done["ETag"])
