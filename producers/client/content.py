"""Content on its way in and out: inline while it is small, else by claim check."""

from __future__ import annotations

import atexit
import io
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from signalbox.commands.error import SourceChanged, TooLarge
from signalbox.commands.object_store import GetResult
from signalbox.commands.payload import (
    CHUNK_BYTES,
    DirectoryPayloadStore,
    InlinePayload,
    StagedPayload,
)
from signalbox.commands.settings import Settings

_kept: dict[str, tuple[DirectoryPayloadStore, StagedPayload, int]] = {}
"""What was staged here and is still held: by its name, with the process that staged it."""


class ContentDesk:
    """Makes payloads of content, and content of results; memory stays bounded.

    What it stages is there as long as the payload object, or a command that was accepted with it.
    """

    def __init__(self, settings: Settings, deployment: Callable[[], str]) -> None:
        folder = settings.payload_dir
        self.limit = settings.inline_limit_bytes
        """Larger content is staged."""
        self.store = DirectoryPayloadStore(folder, deployment) if folder else None

    def payload(self, content: bytes | Path | BinaryIO) -> InlinePayload | StagedPayload:
        """The content of bytes, of a file, or of a stream read to its end.

        Raises SourceChanged if a file is not there, or changes its size while it is read, and
        TooLarge if the content is over the inline limit and there is no payload store, and
        StateUnavailable if the first content is staged while the state Redis is away.
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
                f"{content} cannot be read: {error.strerror}",
                next_step="check the path; nothing was stored of it",
            ) from error
        if not payload.size == expected == found:
            if isinstance(payload, StagedPayload):
                self.need_store(payload.size).remove(payload)
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
        return self.need_store(result.payload.size).open(result.payload)

    def discard(self, result: GetResult) -> None:
        """Give up what was staged for a get, once it was read."""
        self.remove(result.payload)

    def remove(self, payload: InlinePayload | StagedPayload) -> None:
        """Give up what was staged; nothing for what is inline."""
        if isinstance(payload, StagedPayload):
            self.need_store(payload.size).remove(payload)

    def _payload(self, source: BinaryIO) -> InlinePayload | StagedPayload:
        head = source.read(self.limit + 1)
        if len(head) <= self.limit:
            return InlinePayload(data=head)
        payload = self.need_store(len(head)).stage(chain([head], _chunks(source)))
        self.hold(payload)
        return payload

    def hold(self, payload: StagedPayload) -> None:
        """Keep what was staged as long as this object is there."""
        _remove_with(payload, self.need_store(payload.size))

    def release(self, payload: InlinePayload | StagedPayload) -> None:
        """Give up now what is held, whoever still has the object. Not while a buffer may hand over
        a command that was made of it."""
        if isinstance(payload, StagedPayload):
            _remove(payload.ref)

    def need_store(self, size: int) -> DirectoryPayloadStore:
        """Where content of so many bytes is staged. Raises TooLarge."""
        if self.store is None:
            raise TooLarge(
                f"{size} bytes or more is over the inline limit of {self.limit}",
                next_step="set SIGNALBOX_PAYLOAD_DIR to a directory that producers and workers "
                "share",
            )
        return self.store


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _remove_with(payload: StagedPayload, store: DirectoryPayloadStore) -> None:
    """Remove what is staged when the object goes that names it; a copy is its command's own."""
    _kept[payload.ref] = (store, payload.model_copy(), os.getpid())
    weakref.finalize(payload, _remove, payload.ref).atexit = False


def _remove(ref: str) -> None:
    kept = _kept.pop(ref, None)
    if kept is not None:
        store, payload, process = kept
        if os.getpid() == process:  # in a forked child it is the parent's still
            with suppress(OSError):
                store.remove(payload)


@atexit.register
def _remove_all() -> None:
    # Registered before any buffer is, so called when all of them were flushed.
    for ref in list(_kept):
        _remove(ref)
