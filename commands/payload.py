"""The content of a command: inline in it, or staged beside it (a claim check)."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from commands.error import IntegrityMismatch, PayloadMissing

CHUNK_BYTES = 1024 * 1024
LARGEST_BYTES = 5 * 1024**4
"""No backend takes a larger object; a lease grows with the size, so it must have an end."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InlinePayload(BaseModel):
    """Content that travels in the command itself, base64 in JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    type: Literal["inline"] = "inline"
    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class StagedPayload(BaseModel):
    """A claim check: content that waits in the payload store under `ref`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["staged"] = "staged"
    ref: str = Field(pattern=r"^[0-9a-f]{32}$", description="Name within the payload store.")
    size: int = Field(ge=0, le=LARGEST_BYTES, description="Length in bytes.")
    sha256: Sha256


Payload = Annotated[InlinePayload | StagedPayload, Field(discriminator="type")]


class PayloadStore(Protocol):
    """Where content waits that is too large for a command; producers and workers share it."""

    def stage(self, chunks: Iterable[bytes]) -> StagedPayload:
        """Keep the content durably and return its claim check; memory stays bounded."""

    def open(self, payload: StagedPayload) -> BinaryIO:
        """Open the content for reading; PayloadMissing if it is not there."""

    def remove(self, payload: StagedPayload) -> None:
        """Forget the content; nothing happens if it is gone already."""


class DirectoryPayloadStore:
    """Payloads as files in one directory that producers and workers both mount."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def stage(self, chunks: Iterable[bytes]) -> StagedPayload:
        self._directory.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".stage-", delete=False) as f:
            try:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    f.write(chunk)
                f.flush()
                os.fsync(f.fileno())
                ref = os.urandom(16).hex()
                os.replace(f.name, self._directory / ref)
            except BaseException:
                os.unlink(f.name)
                raise
        _sync_directory(self._directory)
        return StagedPayload(ref=ref, size=size, sha256=digest.hexdigest())

    def open(self, payload: StagedPayload) -> BinaryIO:
        try:
            return open(self._directory / payload.ref, "rb")
        except FileNotFoundError:
            raise PayloadMissing(
                f"staged payload {payload.ref} of {payload.size} bytes is not in {self._directory}",
                next_step="let producers and workers share SIGNALBOX_PAYLOAD_DIR, or submit again",
            ) from None

    def remove(self, payload: StagedPayload) -> None:
        self.forget(payload.ref)

    def older_than(self, age: timedelta) -> Iterator[str]:
        """Names of what was staged, or begun to be, before `age` ago."""
        before = time.time() - age.total_seconds()
        if not self._directory.is_dir():
            return
        for entry in os.scandir(self._directory):
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                    yield entry.name

    def forget(self, name: str) -> None:
        """Remove what is staged under this name, if it is there."""
        (self._directory / name).unlink(missing_ok=True)


def open_payload(payload: InlinePayload | StagedPayload, store: PayloadStore) -> BinaryIO:
    """Open the content of a command wherever it is."""
    if isinstance(payload, InlinePayload):
        return io.BytesIO(payload.data)
    return store.open(payload)


def verified_chunks(
    payload: InlinePayload | StagedPayload, source: BinaryIO, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """Read `source` in chunks; IntegrityMismatch before the last is handed out if it differs.

    A writer that gives up on the exception has therefore never stored a wrong content whole.
    """
    digest, size, held = hashlib.sha256(), 0, b""
    while chunk := source.read(chunk_bytes):
        digest.update(chunk)
        size += len(chunk)
        if held:
            yield held
        held = chunk
    if size != payload.size or digest.hexdigest() != payload.sha256:
        raise IntegrityMismatch(
            f"the payload has {size} bytes and SHA-256 {digest.hexdigest()}, "
            f"but {payload.size} bytes and {payload.sha256} were announced",
            next_step="submit the command again",
        )
    if held:
        yield held


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
