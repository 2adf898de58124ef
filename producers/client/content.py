"""Content of commands and results: inline while it is small, else staged by claim check."""

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

from signalbox.commands.error import LocalFileError, SourceChanged, TooLarge
from signalbox.commands.object_store import GetResult
from signalbox.commands.payload import (
    CHUNK_BYTES,
    DirectoryPayloadStore,
    InlinePayload,
    StagedPayload,
)
from signalbox.commands.settings import Settings

_kept: dict[str, tuple[DirectoryPayloadStore, StagedPayload, int]] = {}
"""Content staged by this process and still referenced, by name, with the process that staged it."""


class ContentStager:
    """Makes payloads of content, and opens the content of results, in bounded memory.

    Staged content exists as long as its payload object, or an accepted command made of it.
    """

    def __init__(self, settings: Settings, deployment: Callable[[], str]) -> None:
        folder = settings.payload_dir
        self.limit = settings.inline_limit_bytes
        """Size in bytes over which content is staged."""
        self.store = DirectoryPayloadStore(folder, deployment) if folder else None
        """Where content is staged; None without a payload directory."""

    def payload(self, content: bytes | Path | BinaryIO) -> InlinePayload | StagedPayload:
        """Make a payload of bytes, of a file, or of a stream, which is read to its end.

        Raises LocalFileError if a file cannot be read, SourceChanged if its size changes while it
        is read, TooLarge if the content is over the inline limit and there is no payload directory,
        and StateUnavailable if the first content is staged while the state Redis is unavailable.
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
            raise LocalFileError(
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
        """Open the content of a get's result. Raises PayloadMissing."""
        if isinstance(result.payload, InlinePayload):
            return io.BytesIO(result.payload.data)
        return self.need_store(result.payload.size).open(result.payload)

    def discard(self, result: GetResult) -> None:
        """Remove what was staged for a get, after it was read."""
        self.remove(result.payload)

    def remove(self, payload: InlinePayload | StagedPayload) -> None:
        """Remove staged content; does nothing for inline content."""
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
        """Keep staged content for as long as this payload object exists."""
        _remove_with(payload, self.need_store(payload.size))

    def release(self, payload: InlinePayload | StagedPayload) -> None:
        """Remove content that is held, even if the payload object still exists.

        Not allowed while a buffer may submit a command that was made of it.
        """
        if isinstance(payload, StagedPayload):
            _remove(payload.ref)

    def need_store(self, size: int) -> DirectoryPayloadStore:
        """Return the store for content of `size` bytes. Raises TooLarge if there is none."""
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
    """Remove the staged content when the payload object is freed; each command has its own copy."""
    _kept[payload.ref] = (store, payload.model_copy(), os.getpid())
    weakref.finalize(payload, _remove, payload.ref).atexit = False


def _remove(ref: str) -> None:
    kept = _kept.pop(ref, None)
    if kept is not None:
        store, payload, process = kept
        if os.getpid() == process:  # In a forked child it still belongs to the parent.
            with suppress(OSError):
                store.remove(payload)


@atexit.register
def _remove_all() -> None:
    # Registered before any buffer's handler, so called after all buffers were flushed.
    for ref in list(_kept):
        _remove(ref)
