"""Content files of objects below `raw/`, each written once under its own name and never changed.

The index says which file belongs to which object. A name shows its key if that is short and ASCII,
to help people; nothing reads a key back from it. Each attempt has its own name, so no writer can
touch what another wrote, and `a` and `a/b` can both exist.
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

from signalbox.adapters.filesystem.scope_directory import Growth, ScopeDirectory, Segments

SEGMENT_BYTES = 150
"""Maximum length of a key's segment in a name, in bytes."""
MAX_DEPTH = 8
"""Maximum number of directories for one key; deeper ones become part of the file's name."""
SYNC_THREADS = 8
"""Number of threads that sync the contents of one bulk."""
TEMPORARY = "."
"""Prefix of a file's name while it is written; no other name below raw/ begins with it."""

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking, so that a pipe in place of the file does not block its reader.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class ContentFile:
    """The path of one content below `raw/`."""

    directory: Segments
    """Names of the directories."""
    name: str
    """Name of the file."""

    @classmethod
    def fresh(cls, key: str, mark: str) -> ContentFile:
        """Return a path that no other attempt has, and that cannot lead out of `raw/`."""
        *above, last = [_shown(segment) for segment in key.split("/")]
        last = "%2F".join([*above[MAX_DEPTH:], last])[:SEGMENT_BYTES]
        by = hashlib.blake2b(mark.encode(), digest_size=6).hexdigest()
        directory = tuple(segment[:SEGMENT_BYTES] for segment in above[:MAX_DEPTH])
        return cls(directory, f"{last}~{by}-{os.urandom(5).hex()}")

    @classmethod
    def parse(cls, text: str) -> ContentFile:
        """Return the path whose `str` is `text`."""
        *directory, name = text.split("/")
        return cls(tuple(directory), name)

    def __str__(self) -> str:
        return "/".join((*self.directory, self.name))


class ContentFolder:
    """The content files of one scope."""

    def __init__(self, directory: ScopeDirectory) -> None:
        self.directory = directory

    def write(self, file: ContentFile, chunks: Iterable[bytes], growth: Growth) -> None:
        """Write under a temporary name, or leave nothing."""
        with self.directory.made(("raw", *file.directory), growth) as directory:
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
        """Sync the contents, then give them their final names.

        Directories are synced later, by `growth`. Raises the first error after all have ended.
        """
        if len(files) > 1:
            # In parallel they share commits of the filesystem's journal: 3 times as fast.
            with ThreadPoolExecutor(min(SYNC_THREADS, len(files))) as threads:
                list(threads.map(self._sync, files))
        else:
            for file in files:
                self._sync(file)
        # Names come last: a rename in between would add to what each sync has to commit.
        for file in files:
            with self.directory.opened(("raw", *file.directory)) as directory:
                temporary = TEMPORARY + file.name
                os.rename(temporary, file.name, src_dir_fd=directory, dst_dir_fd=directory)
            self.directory.touched(("raw", *file.directory), growth)

    def _sync(self, file: ContentFile) -> None:
        with self.directory.opened(("raw", *file.directory)) as directory:
            descriptor = os.open(TEMPORARY + file.name, _READ, dir_fd=directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def open(self, file: ContentFile) -> BinaryIO:
        """Open the file. Raises FileNotFoundError if the object was replaced meanwhile."""
        with self.directory.opened(("raw", *file.directory)) as directory:
            descriptor = os.open(file.name, _READ, dir_fd=directory)
        return open(descriptor, "rb")

    def remove(self, file: ContentFile) -> None:
        """Remove the file, under its final or its temporary name.

        A failure leaves an orphan, which only costs space and is not reported.
        """
        with suppress(OSError), self.directory.opened(("raw", *file.directory)) as directory:
            for name in (file.name, TEMPORARY + file.name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)


def _shown(segment: str) -> str:
    shown = quote(segment, safe=" +,=@()&").replace("~", "%7E")
    return "%2E" + shown[1:] if shown.startswith(".") else shown
