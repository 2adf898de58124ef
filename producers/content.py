"""Content on its way in and out: inline while it is small, else by claim check."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from commands.error import SourceChanged, TooLarge
from commands.object_store import GetResult
from commands.payload import (
    CHUNK_BYTES,
    DirectoryPayloadStore,
    InlinePayload,
    PayloadStore,
    StagedPayload,
)
from commands.settings import Settings


class ContentDesk:
    """Makes payloads of content, and content of results; memory stays bounded."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.inline_limit_bytes
        self._store = DirectoryPayloadStore(settings.payload_dir) if settings.payload_dir else None

    def payload(self, content: bytes | Path | BinaryIO) -> InlinePayload | StagedPayload:
        """The content of bytes, of a file, or of a stream read to its end.

        Raises SourceChanged if a file is not there, or changes its size while it is read, and
        TooLarge if the content is over the inline limit and there is no payload store.
        """
        if isinstance(content, bytes):
            return self._payload(io.BytesIO(content))
        if not isinstance(content, Path):
            return self._payload(content)
        try:
            with content.open("rb") as source:
                expected = content.stat().st_size
                payload = self._payload(source)
                found = content.stat().st_size
        except OSError as error:
            raise SourceChanged(
                f"{content} cannot be read: {error.strerror}", next_step="nothing was stored of it"
            ) from error
        if not payload.size == expected == found:
            if isinstance(payload, StagedPayload):
                self._need_store(payload.size).remove(payload)
            raise SourceChanged(
                f"{content} changed while it was read: {expected} bytes before, {found} after, "
                f"{payload.size} read",
                next_step="store it again when its writer is done",
            )
        return payload

    def open(self, result: GetResult) -> BinaryIO:
        """The content that a get answered with. Raises PayloadMissing."""
        if isinstance(result.payload, InlinePayload):
            return io.BytesIO(result.payload.data)
        return self._need_store(result.payload.size).open(result.payload)

    def discard(self, result: GetResult) -> None:
        """Give up what was staged for a get, once it was read."""
        self.remove(result.payload)

    def remove(self, payload: InlinePayload | StagedPayload) -> None:
        """Give up what was staged; nothing for what is inline."""
        if isinstance(payload, StagedPayload):
            self._need_store(payload.size).remove(payload)

    def _payload(self, source: BinaryIO) -> InlinePayload | StagedPayload:
        head = source.read(self._limit + 1)
        if len(head) <= self._limit:
            return InlinePayload(data=head)
        return self._need_store(len(head)).stage(chain([head], _chunks(source)))

    def _need_store(self, size: int) -> PayloadStore:
        if self._store is None:
            raise TooLarge(
                f"{size} bytes or more is over the inline limit of {self._limit}",
                next_step="set SIGNALBOX_PAYLOAD_DIR to a directory that producers and workers "
                "share",
            )
        return self._store


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
