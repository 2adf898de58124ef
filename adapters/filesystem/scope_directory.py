"""The directory of a scope below `base_dir`: opened without following links, changed durably."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from signalbox.commands.error import Misconfigured
from signalbox.commands.scope import Scope

Segments = tuple[str, ...]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_KNOWN = 10_000


@dataclass
class Growth:
    """What was created in a scope's directory and must be synced before anything relies on it."""

    made: set[Segments] = field(default_factory=set)
    """New directories, whose entries may not be durable yet."""
    touched: set[Segments] = field(default_factory=set)
    """Directories with new entries."""


def _identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of a directory, through links; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class ScopeDirectory:
    """The directory `tenants/{tenant}/{env}` of one scope; segments are relative to it."""

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self.base_dir = base_dir
        self._own: Segments = ("tenants", scope.tenant_id, scope.env)
        # Directories that this process has seen durable, relative to base_dir.
        self._known: set[Segments] = set()
        self._real = ("", "", (0, 0))
        """Real path of base_dir, path of the scope's directory, and identity of base_dir."""

    @property
    def path(self) -> str:
        """Absolute path of the directory; base_dir itself may be reached through links."""
        real, path, identity = self._real
        # Links are resolved once: checking each directory on the way takes as long as a small read.
        if _identity(self.base_dir) == identity and (
            real == self.base_dir or _identity(real) == identity
        ):
            return path
        real = os.path.realpath(self.base_dir)
        path = os.path.join(real, *self._own)
        found = _identity(real)
        self._real = (real, path, found) if found is not None else ("", "", (0, 0))
        return path

    @contextmanager
    def opened(self, segments: Segments) -> Iterator[int]:
        """Open the directory and yield its descriptor.

        Raises FileNotFoundError, and OSError for a link.
        """
        descriptor = self._walk(self._own + segments, None)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def made(self, segments: Segments, growth: Growth) -> Iterator[int]:
        """Open the directory, and create what is missing.

        `growth` records what `sync` must sync.
        """
        descriptor = self._walk(self._own + segments, growth)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def touched(self, segments: Segments, growth: Growth) -> None:
        """Record that the directory has a new entry."""
        growth.touched.add(self._own + segments)

    def sync(self, growth: Growth) -> None:
        """Make everything durable, with one sync for each directory."""
        for segments in sorted(growth.touched):
            descriptor = self._walk(segments, None)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if len(self._known) > _MAX_KNOWN:
            self._known.clear()
        self._known |= growth.made

    def _walk(self, segments: Segments, growth: Growth | None) -> int:
        descriptor = self._base(make=growth is not None)
        for depth, name in enumerate(segments, start=1):
            made, above = False, descriptor
            try:
                try:
                    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                except FileNotFoundError:
                    if growth is None:
                        raise
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o750, dir_fd=above)
                    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                    made = True
            finally:
                os.close(above)
            # Another process may have created it without having synced it yet, so each process
            # syncs what it sees for the first time.
            if growth is not None and (made or segments[:depth] not in self._known):
                growth.made.add(segments[:depth])
                growth.touched.add(segments[: depth - 1])
        return descriptor

    def _base(self, *, make: bool) -> int:
        try:
            return os.open(self.base_dir, _DIRECTORY)
        except FileNotFoundError:
            if not make:
                raise
        try:
            _make_with_parents(self.base_dir)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Misconfigured(
                f"base_dir does not exist and cannot be made: {error.strerror}",
                next_step="make it and let the worker write there, or route to another base_dir",
            ) from error
        return os.open(self.base_dir, _DIRECTORY)


def _make_with_parents(path: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make_with_parents(parent)
    with suppress(FileExistsError):
        os.mkdir(path, 0o750)
    descriptor = os.open(parent, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
