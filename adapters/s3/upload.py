"""Uploads to one key of S3: in one request, or in parts with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.object_driver import Draft
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import checked_etag
from signalbox.adapters.s3.boto3_engine import address, checksum, properties
from signalbox.adapters.s3.engine import Engine, Target
from signalbox.commands.error import TooLarge

PART_BYTES = 8 * 1024**2
"""Size of a part in bytes; smaller content is sent in one request."""
BYTES_AT_ONCE = 3 * PART_BYTES
"""Bytes of parts that are sent in parallel; one more part is read meanwhile."""
MAX_PARTS = 10_000
"""S3's maximum number of parts."""
MAX_OBJECT_BYTES = 5 * 1024**4
"""S3's maximum size of an object."""


def upload(
    engine: Engine, target: Target, draft: Draft, limit: TimeLimit, condition: dict[str, Any]
) -> str:
    """Store the draft's content whole or not at all; return its ETag.

    `condition` is `IfMatch` or `IfNoneMatch`, and checked by the request that makes the object
    visible. Raises IntegrityMismatch before the last byte is sent, Expired, TooLarge, and
    botocore's errors.
    """
    if draft.size > MAX_OBJECT_BYTES:
        raise TooLarge(
            f"{draft.size} bytes are over the {MAX_OBJECT_BYTES} of an S3 object",
            next_step="store it as several objects",
        )
    if draft.size <= PART_BYTES:
        # Read completely before it is sent: wrong content fails here, before anything is sent.
        return engine.put(target, draft.whole(), limit, condition)
    with draft.chunks() as chunks:
        return _in_parts(engine, target, draft.size, chunks, limit, condition)


def part_bytes(size: int) -> int:
    """Return 8 MiB, or what `size` bytes need to fit into 10,000 parts (from 78 GiB on)."""
    return max(PART_BYTES, -(-size // MAX_PARTS))


def _parts(
    chunks: Iterator[bytes], size: int, spare: list[bytearray]
) -> Iterator[bytes | bytearray]:
    """Yield parts of `size` bytes and a shorter last one, in buffers of `spare` if there are any.

    New memory for each would take as long as the copying.
    """
    buffer, filled = bytearray(), 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if filled == 0:
                buffer = spare.pop() if spare else bytearray(size)
            piece = rest[: size - filled]
            rest = rest[len(piece) :]
            memoryview(buffer)[filled : filled + len(piece)] = piece
            filled += len(piece)
            if filled == size:
                filled = 0
                yield buffer
    if filled:
        yield bytes(memoryview(buffer)[:filled])


def _in_parts(
    engine: Engine,
    target: Target,
    size: int,
    chunks: Iterator[bytes],
    limit: TimeLimit,
    condition: dict[str, Any],
) -> str:
    """Run a multipart upload of our own: boto3's cannot be conditional."""
    client = engine.client
    with engine.bounded(limit):
        started = client.create_multipart_upload(**address(target), **properties(target))
    upload = {**address(target), "UploadId": started["UploadId"]}
    try:
        sent = _send(engine, target, upload, size, chunks, limit)
        with engine.bounded(limit):
            done = client.complete_multipart_upload(
                **upload, **condition, MultipartUpload={"Parts": sent}
            )
    except BaseException:
        # Parts cost money until they are aborted; a lifecycle rule of the bucket removes the rest.
        with suppress(ClientError, BotoCoreError, OSError):
            client.abort_multipart_upload(**upload)
        raise
    return checked_etag("S3", done.get("ETag"))


def _send(
    engine: Engine,
    target: Target,
    upload: dict[str, Any],
    size: int,
    chunks: Iterator[bytes],
    limit: TimeLimit,
) -> list[Any]:
    """Send the parts, a few in parallel while the next is read; all have ended on return."""

    def send(number: int, body: Any) -> dict[str, Any]:
        with engine.bounded(limit):
            part = engine.client.upload_part(
                **upload, **checksum(target.config, body), PartNumber=number, Body=body
            )
        if isinstance(body, bytearray):
            spare.append(body)
        checksums = {"ChecksumCRC32": part["ChecksumCRC32"]} if "ChecksumCRC32" in part else {}
        return {"PartNumber": number, "ETag": part["ETag"], **checksums}

    each = part_bytes(size)
    at_once = max(1, BYTES_AT_ONCE // each)
    spare: list[bytearray] = []
    sent: list[Any] = []
    under_way: deque[Future[dict[str, Any]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="s3-part") as senders:
        try:
            for number, body in enumerate(_parts(chunks, each, spare), start=1):
                if len(under_way) == at_once:
                    sent.append(under_way.popleft().result())
                under_way.append(senders.submit(send, number, body))
            sent += [part.result() for part in under_way]
        except BaseException:
            senders.shutdown(cancel_futures=True)
            raise
    return sent
