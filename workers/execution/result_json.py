"""Converts an adapter's answer to the JSON result of an outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from signalbox.adapters.object_store import ObjectStream
from signalbox.adapters.port import BodyReader
from signalbox.commands.error import Unavailable
from signalbox.commands.object_store import GetResult
from signalbox.commands.payload import CHUNK_BYTES, InlinePayload, PayloadStore, StagedPayload

Moved = Callable[[int], None]
"""Called with the number of further bytes that were read. Raises LeaseExpired."""


def to_result(
    answer: Any, payloads: PayloadStore, inline_limit: int, moved: Moved
) -> dict[str, Any]:
    """Return the answer's fields; a content is inlined up to `inline_limit` bytes, else staged.

    Raises LeaseExpired, and Unavailable if the content ends too early.
    """
    if isinstance(answer, ObjectStream):
        with closing(answer.body) as body:
            payload: InlinePayload | StagedPayload
            if answer.size <= inline_limit:
                payload = InlinePayload(data=b"".join(_chunks(body, moved)))
            else:
                payload = payloads.stage(_chunks(body, moved))
        if payload.size != answer.size:
            if isinstance(payload, StagedPayload):
                payloads.remove(payload)
            raise Unavailable(
                f"the backend sent {payload.size} of {answer.size} bytes",
                next_step="it is read again",
            )
        answer = GetResult(info=answer.info, first=answer.first, payload=payload)
    document: dict[str, Any] = answer.model_dump(mode="json")
    return document


def _chunks(body: BodyReader, moved: Moved) -> Iterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        moved(len(chunk))
        yield chunk
