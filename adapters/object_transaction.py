"""What a backend of object stores implements that writes in transactions of its own process."""

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
    """Content that waits for its transaction."""

    @property
    def trace(self) -> ObjectTrace:
        """What it will leave."""


class Gone(NamedTuple):
    """A tombstone that is to be left."""

    mark: str
    seq: int
    etag: None = None
    size: int = 0


class ObjectStaging(Protocol):
    """The contents of one bulk, on their way."""

    def stage(self, key: str, draft: Draft, etag: str) -> Staged:
        """Write the content where no reader finds it, or keep it in memory if it is small. Raises
        IntegrityMismatch, and leaves nothing behind then."""

    def settle(self, staged: Sequence[Staged]) -> None:
        """Make them durable."""

    def discard(self, staged: Sequence[Staged]) -> None:
        """Remove them. A failure costs space and nothing else: it is not reported."""


class ObjectTurn(Protocol):
    """One transaction of the only writer."""

    def look(self, keys: Collection[str]) -> Mapping[str, ObjectTrace]:
        """What was left on these keys; no entry: nothing. What cannot be read raises
        IntegrityMismatch when it is asked for."""

    def write(self, changes: Mapping[str, Staged | Gone]) -> None:
        """Leave this, once the transaction ends well."""


class TransactionalObjectDriver(ObjectDriver, Protocol):
    """A driver of a store within this process. `write` is asked for ASSETS alone, and `remove`
    never."""

    def look_many(self, names: Sequence[str]) -> Mapping[str, StoredObject]:
        """Those that are there, as `ObjectTurn.look`."""

    def contents(self, names: Sequence[str]) -> Mapping[str, tuple[StoredObject, bytes | None]]:
        """The same with the content of each, None where it has to be opened."""

    def traces(self, keys: Collection[str]) -> Mapping[str, ObjectTrace]:
        """As `ObjectTurn.look`, of this moment."""

    def staging(self) -> ObjectStaging: ...

    def turn(self, limit: TimeLimit) -> AbstractContextManager[ObjectTurn]:
        """It begins within the limit. If its end raises, its effect may be there or not."""
