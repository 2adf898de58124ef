"""Receives content from an asynchronous sender: inline while it is small, else staged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable
from concurrent.futures import Executor, Future

from signalbox.commands.documented import construct
from signalbox.commands.error import ContentMismatch
from signalbox.commands.payload import InlinePayload, StagedPayload, Staging
from signalbox.producers.client.content import ContentStager

PART_BYTES = 256 * 1024
"""Minimum number of bytes that are written at once, so that a gigabyte takes some thousand calls of
a thread. Each sender takes about as much memory."""


async def take_in(
    chunks: AsyncIterable[bytes],
    stager: ContentStager,
    threads: Executor,
    *,
    size: int | None,
    sha256: str | None,
) -> InlinePayload | StagedPayload:
    """Read the content and make its payload; see `AsyncClient.payload`."""
    loop = asyncio.get_running_loop()
    head = bytearray()
    total = 0
    staging: Staging | None = None
    if size is not None and size > stager.limit:
        stager.need_store(size)  # fails before any of it is sent
    try:
        async for chunk in chunks:
            total += len(chunk)
            if size is not None and total > size:
                raise _mismatch(f"more than the {size} bytes that were declared")
            head += chunk
            del chunk  # a slow sender would keep it until the next one
            if total <= stager.limit or len(head) < PART_BYTES:
                continue
            if staging is None:
                staging = await _begin(stager, total, threads)
            await loop.run_in_executor(threads, staging.write, bytes(head))
            head = bytearray()
        if total <= stager.limit:
            return inline(bytes(head), size, sha256)
        _check_size(total, size)
        if staging is None:
            staging = await _begin(stager, total, threads)
        await loop.run_in_executor(threads, staging.write, bytes(head))
        _check_digest(staging.sha256, sha256)
        payload = await loop.run_in_executor(threads, staging.commit)
    except BaseException as error:
        if staging is not None:
            ended = threads.submit(staging.abort)
            if not isinstance(error, GeneratorExit):  # A generator that is closed must not wait.
                await asyncio.wait([asyncio.wrap_future(ended)])
        raise
    stager.hold(payload)
    return payload


async def _begin(stager: ContentStager, size: int, threads: Executor) -> Staging:
    beginning = threads.submit(stager.need_store(size).begin)
    try:
        return await asyncio.wrap_future(beginning)
    except asyncio.CancelledError:
        beginning.add_done_callback(_abort_what_began)
        raise


def _abort_what_began(beginning: Future[Staging]) -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        beginning.result().abort()


_SET = {"data"}


def inline(data: bytes, size: int | None, sha256: str | None) -> InlinePayload:
    """Return the payload of small content.

    Raises ContentMismatch if it differs from what was declared.
    """
    _check_size(len(data), size)
    if sha256 is not None:
        _check_digest(hashlib.sha256(data).hexdigest(), sha256)
    # Bytes need no validation.
    return construct(InlinePayload, {"type": "inline", "data": data}, _SET)


def _check_size(found: int, declared: int | None) -> None:
    if declared is not None and found != declared:
        raise _mismatch(f"{found} bytes, and {declared} were declared")


def _check_digest(found: str, declared: str | None) -> None:
    if declared is not None and found != declared:
        raise _mismatch(f"the SHA-256 {found}, and {declared} was declared")


def _mismatch(what: str) -> ContentMismatch:
    return ContentMismatch(
        f"the content has {what}", next_step="send all of it again; nothing was stored"
    )
