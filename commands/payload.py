"""The content of a command: inline, or staged in a shared directory (the claim check pattern)."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Protocol

from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.error import (
    InsufficientStorage,
    IntegrityMismatch,
    LocalFileError,
    PayloadMissing,
)

CHUNK_BYTES = 1024 * 1024
LARGEST_BYTES = 5 * 1024**4
"""Largest size that is accepted. No backend stores more, and the lease grows with the size."""
_BEGUN = ".stage-"
"""Prefix of the name of a file that is still being written."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class InlinePayload(Documented):
    """Content inside the command itself, base64 in JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    type: Literal["inline"] = "inline"
    """Tells the two forms of payload apart."""
    data: bytes
    """The content."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


class StagedPayload(Documented):
    """A claim check: a reference to content in the payload store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["staged"] = "staged"
    """Tells the two forms of payload apart."""
    ref: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Name of the content in the payload store."""
    size: int = Field(ge=0, le=LARGEST_BYTES)
    """Length in bytes."""
    sha256: Sha256
    """SHA-256 of the content, as 64 hexadecimal digits."""


Payload = Annotated[InlinePayload | StagedPayload, Field(discriminator="type")]


class PayloadStore(Protocol):
    """Stores content that is too large for a command. Producers and workers share it."""

    def stage(self, chunks: Iterable[bytes]) -> StagedPayload:
        """Store the content durably and return its claim check. Uses bounded memory."""

    def open(self, payload: StagedPayload) -> BinaryIO:
        """Open the content for reading. Raises PayloadMissing."""

    def remove(self, payload: StagedPayload) -> None:
        """Delete the content; does nothing if it is already gone."""


class Staging:
    """Content that is being written into a payload directory; end it with `commit` or `abort`.

    Thread-safe: `abort` waits for a write of another thread, and discards it as well.
    """

    def __init__(self, directory: Path, ref: str) -> None:
        self._directory = directory
        self._ref = ref
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._size = 0
        self._file = open(directory / f"{_BEGUN}{ref}", "xb", opener=_private)  # noqa: SIM115

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, as 64 hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append a chunk. Raises InsufficientStorage and LocalFileError."""
        with self._lock, _disk_errors():
            self._digest.update(chunk)
            self._size += len(chunk)
            self._file.write(chunk)

    def commit(self) -> StagedPayload:
        """Sync the content to disk and return its claim check. Raises like `write`."""
        with self._lock, _disk_errors(), self._file as f:
            f.flush()
            os.fsync(f.fileno())
            os.rename(f.name, self._directory / self._ref)
            _sync_directory(self._directory)
        return StagedPayload(ref=self._ref, size=self._size, sha256=self.sha256)

    def abort(self) -> None:
        """Delete the content, even if it was committed."""
        with self._lock, suppress(OSError):
            self._file.close()
        for name in (self._file.name, self._directory / self._ref):
            Path(name).unlink(missing_ok=True)


class DirectoryPayloadStore:
    """A payload store of regular files in one directory that producers and workers mount.

    A file's name begins with the id of its deployment, 12 hexadecimal digits. If `deployment`
    returns an empty text, the files are never cleaned up. The directory may hold other files, such
    as those of other deployments.
    """

    def __init__(self, directory: Path, deployment: Callable[[], str] = str) -> None:
        self._directory = directory
        self._deployment = deployment

    def begin(self) -> Staging:
        """Start writing content that arrives piece by piece."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return Staging(self._directory, self._fresh())

    def stage(self, chunks: Iterable[bytes]) -> StagedPayload:
        staging = self.begin()
        try:
            for chunk in chunks:
                staging.write(chunk)
            return staging.commit()
        except BaseException:
            staging.abort()
            raise

    def add_owner(self, payload: StagedPayload) -> StagedPayload:
        """Give the content one more name; it exists until its last name is removed.

        The name is a hard link, so the cost does not depend on the size. Call `sync` to make it
        durable. Raises PayloadMissing, and LocalFileError if the file system refuses the link.
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
        """Make the names that were added durable; does nothing if there is no directory yet."""
        with suppress(FileNotFoundError):
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
        """Yield the names of the deployment's files that are older than `age`."""
        if self._directory.is_dir():
            own = re.compile(f"({re.escape(_BEGUN)})?{self._deployment()}[0-9a-f]{{20}}")
            for entry in os.scandir(self._directory):
                if own.fullmatch(entry.name) and self._is_old(entry.name, age):
                    yield entry.name

    def forget(self, name: str, age: timedelta) -> bool:
        """Delete a file that `older_than` yielded; return False if it was renewed since."""
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
    """Open the content of a command for reading. Raises PayloadMissing."""
    if isinstance(payload, InlinePayload):
        return io.BytesIO(payload.data)
    return store.open(payload)


def verified_chunks(
    payload: InlinePayload | StagedPayload, source: BinaryIO, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """Yield the content of `source` in chunks, and check it before yielding the last one.

    Raises IntegrityMismatch if size or digest differ from the payload's. A writer that stops at the
    exception has therefore never stored the whole of a wrong content.
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


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (InsufficientStorage if full else LocalFileError)(
            f"the content cannot be staged: {error.strerror}",
            next_step="see to SIGNALBOX_PAYLOAD_DIR: its space, and who may write there; "
            "nothing was stored",
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
