"""The content of a command: inline in it, or staged beside it (a claim check)."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from commands.error import IntegrityMismatch, LocalFileError, PayloadMissing

CHUNK_BYTES = 1024 * 1024
LARGEST_BYTES = 5 * 1024**4
"""No backend takes a larger object; a lease grows with the size, so it must have an end."""
_BEGUN = ".stage-"
"""Stands before the name of what is still being written."""
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
    """Payloads as regular files in one directory that producers and workers both mount.

    A name begins with the `deployment` whose file it is (12 hexadecimal digits, or none: then
    nobody clears up behind it). Other files may lie there, of other deployments too.
    """

    def __init__(self, directory: Path, deployment: Callable[[], str] = str) -> None:
        self._directory = directory
        self._deployment = deployment

    def stage(self, chunks: Iterable[bytes]) -> StagedPayload:
        self._directory.mkdir(parents=True, exist_ok=True)
        digest, size, ref = hashlib.sha256(), 0, self._fresh()
        with open(self._directory / f"{_BEGUN}{ref}", "xb", opener=_private) as f:
            try:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    f.write(chunk)
                f.flush()
                os.fsync(f.fileno())
                os.rename(f.name, self._directory / ref)
            except BaseException:
                os.unlink(f.name)
                raise
        _sync_directory(self._directory)
        return StagedPayload(ref=ref, size=size, sha256=digest.hexdigest())

    def add_owner(self, payload: StagedPayload) -> StagedPayload:
        """The same content under one more name: it is there until the last is removed.

        A hard link, which costs as much for any size. Raises PayloadMissing, and LocalFileError
        where the file system refuses; `sync` makes it durable.
        """
        own = payload.model_copy(update={"ref": self._fresh()})
        source = self._directory / payload.ref
        try:
            # Its age counts from now: the ledger names it only a moment later.
            os.utime(source, follow_symlinks=False)
            os.link(source, self._directory / own.ref, follow_symlinks=False)
        except FileNotFoundError:
            raise self._missing(payload, "is not there") from None
        except OSError as error:
            raise LocalFileError(
                f"staged payload {payload.ref} cannot be linked: {error.strerror}",
                next_step="SIGNALBOX_PAYLOAD_DIR must be on a file system with hard links, and "
                "belong to who submits; nothing was accepted",
            ) from error
        return own

    def sync(self) -> None:
        """Make the names durable that were given."""
        _sync_directory(self._directory)

    def open(self, payload: StagedPayload) -> BinaryIO:
        try:
            # Of a link, or of a pipe that would block, nothing is read.
            descriptor = os.open(
                self._directory / payload.ref, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
            )
        except OSError as error:
            raise self._missing(payload, error.strerror) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._missing(payload, "no regular file")
        return open(descriptor, "rb")

    def remove(self, payload: StagedPayload) -> None:
        (self._directory / payload.ref).unlink(missing_ok=True)

    def older_than(self, age: timedelta) -> Iterator[str]:
        """Names of what the deployment staged, or began to, before `age` ago."""
        if self._directory.is_dir():
            own = re.compile(f"({re.escape(_BEGUN)})?{self._deployment()}[0-9a-f]{{20}}")
            for entry in os.scandir(self._directory):
                if own.fullmatch(entry.name) and self._is_old(entry.name, age):
                    yield entry.name

    def forget(self, name: str, age: timedelta) -> bool:
        """Remove one of `older_than`, unless it was given an owner meanwhile."""
        if not self._is_old(name, age):
            return False
        (self._directory / name).unlink(missing_ok=True)
        return True

    def _is_old(self, name: str, age: timedelta) -> bool:
        try:
            its = os.lstat(self._directory / name)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(its.st_mode) and its.st_mtime < time.time() - age.total_seconds()

    def _fresh(self) -> str:
        begin = self._deployment()
        return begin + os.urandom(16).hex()[len(begin) :]

    def _missing(self, payload: StagedPayload, why: str | None) -> PayloadMissing:
        return PayloadMissing(
            f"staged payload {payload.ref} of {payload.size} bytes is not in {self._directory}: "
            f"{why}",
            next_step="let producers and workers share SIGNALBOX_PAYLOAD_DIR, or stage the content "
            "again and submit it under a new op_id",
        )


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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
