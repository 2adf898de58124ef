"""Contents as plain files below `raw/`: written once under a name of their own, never changed.

The index says which file is whose. A name shows its key as far as it is short and ASCII, so
that people find their way; nothing reads a key back from it. Each attempt has a name of its
own, so no writer can touch what another wrote, and `a` and `a/b` stand side by side.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from signalbox.adapters.filesystem.scope_directory import Growth, Place, Segments

SEGMENT_BYTES = 150
MAX_DEPTH = 8
"""Directories of one key; deeper keys go on within the name of the file."""
SYNC_THREADS = 8
"""For the contents of one bulk."""
TEMPORARY = "."
"""How the name of a file begins while it is written; no other name below raw/ does."""

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that somebody put in a file's place does not block its reader.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class ContentFile:
    """Where one content is, below `raw/`."""

    directory: Segments
    name: str

    @classmethod
    def fresh(cls, key: str, mark: str) -> ContentFile:
        """A name that no other attempt has, and that cannot lead out of `raw/`."""
        *above, last = [_shown(segment) for segment in key.split("/")]
        last = "%2F".join([*above[MAX_DEPTH:], last])[:SEGMENT_BYTES]
        by = hashlib.blake2b(mark.encode(), digest_size=6).hexdigest()
        directory = tuple(segment[:SEGMENT_BYTES] for segment in above[:MAX_DEPTH])
        return cls(directory, f"{last}~{by}-{os.urandom(5).hex()}")

    @classmethod
    def parse(cls, text: str) -> ContentFile:
        """The file of which `str` gave `text`."""
        *directory, name = text.split("/")
        return cls(tuple(directory), name)

    def __str__(self) -> str:
        return "/".join((*self.directory, self.name))


class ContentFolder:
    """The files of one scope."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def write(self, file: ContentFile, chunks: Iterable[bytes], growth: Growth) -> None:
        """Write under a temporary name, or leave nothing behind."""
        with self.place.made(("raw", *file.directory), growth) as directory:
            name = TEMPORARY + file.name
            descriptor = os.open(name, _WRITE, 0o640, dir_fd=directory)
            try:
                with open(descriptor, "wb", buffering=0) as target:
                    for chunk in chunks:
                        rest = memoryview(chunk)
                        while rest:
                            rest = rest[target.write(rest) or 0 :]
            except BaseException:
                os.unlink(name, dir_fd=directory)
                raise

    def settle(self, files: Sequence[ContentFile], growth: Growth) -> None:
        """Sync the contents, then give them their names; syncs of directories are left to
        `growth`. Raises the first failure, when all have ended."""
        if len(files) > 1:
            # Side by side they share commits of the file system's journal: 3 times as fast.
            with ThreadPoolExecutor(min(SYNC_THREADS, len(files))) as threads:
                list(threads.map(self._sync, files))
        else:
            for file in files:
                self._sync(file)
        # Names come last: a rename in between would be one more thing for each sync to commit.
        for file in files:
            with self.place.opened(("raw", *file.directory)) as directory:
                temporary = TEMPORARY + file.name
                os.rename(temporary, file.name, src_dir_fd=directory, dst_dir_fd=directory)
            self.place.touched(("raw", *file.directory), growth)

    def _sync(self, file: ContentFile) -> None:
        with self.place.opened(("raw", *file.directory)) as directory:
            descriptor = os.open(TEMPORARY + file.name, _READ, dir_fd=directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def open(self, file: ContentFile) -> BinaryIO:
        """Raises FileNotFoundError when it was replaced meanwhile."""
        with self.place.opened(("raw", *file.directory)) as directory:
            descriptor = os.open(file.name, _READ, dir_fd=directory)
        return open(descriptor, "rb")

    def remove(self, file: ContentFile) -> None:
        """Remove it, whether it is under its own name or still under the temporary one.

        A failure leaves an orphan, which costs space and nothing else: it is not reported.
        """
        with suppress(OSError), self.place.opened(("raw", *file.directory)) as directory:
            for name in (file.name, TEMPORARY + file.name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)


def _shown(segment: str) -> str:
    shown = quote(segment, safe=" +,=@()&").replace("~", "%7E")
    return "%2E" + shown[1:] if shown.startswith(".") else shown
