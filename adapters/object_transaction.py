"""The driver interface for object stores that write in transactions within this process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from signalbox.adapters.object_driver import Draft, ObjectDriver, StoredObject
from signalbox.adapters.port import TimeLimit


class ObjectTrace(Protocol):
    """What the last write on a key left: an object, or a tombstone, which has no ETag."""

    @property
    def mark(self) -> str: ...

    @property
    def seq(self) -> int: ...

    @property
    def etag(self) -> str | None: ...

    @property
    def size(self) -> int: ...


class Staged(Protocol):
    """Content that is written, and waits for its transaction."""

    @property
    def trace(self) -> ObjectTrace:
        """What it will leave."""


class Gone(NamedTuple):
    """A tombstone to be written."""

    mark: str
    seq: int
    etag: None = None
    size: int = 0


class ObjectStaging(Protocol):
    """The staged contents of one bulk."""

    def stage(self, key: str, draft: Draft, etag: str) -> Staged:
        """Write the content where no reader finds it, or keep it in memory if it is small.

        Raises IntegrityMismatch, and leaves nothing then.
        """

    def settle(self, staged: Sequence[Staged]) -> None:
        """Make them durable."""

    def discard(self, staged: Sequence[Staged]) -> None:
        """Remove them. A failure only costs space and is not reported."""


class ObjectSession(Protocol):
    """One transaction of the only writer."""

    def look(self, keys: Collection[str]) -> Mapping[str, ObjectTrace]:
        """Return what was left on these keys, without an entry where there is nothing.

        Entries that cannot be read raise IntegrityMismatch when they are accessed.
        """

    def write(self, changes: Mapping[str, Staged | Gone]) -> None:
        """Make these changes when the transaction is committed."""


class TransactionalObjectDriver(ObjectDriver, Protocol):
    """The driver of a store within this process.

    `write` is called for ASSETS only, and `remove` never.
    """

    def look_many(self, names: Sequence[str]) -> Mapping[str, StoredObject]:
        """Return the existing objects, as `ObjectSession.look` does."""

    def contents(self, names: Sequence[str]) -> Mapping[str, tuple[StoredObject, bytes | None]]:
        """Return the existing objects with their content, None where it must be opened."""

    def traces(self, keys: Collection[str]) -> Mapping[str, ObjectTrace]:
        """Return what `ObjectSession.look` would now."""

    def staging(self) -> ObjectStaging:
        """Begin to stage contents."""

    def session(self, limit: TimeLimit) -> AbstractContextManager[ObjectSession]:
        """Run a transaction that begins within the limit.

        If its end raises, it may or may not have been committed.
        """
