"""What a backend of object stores implements: primitives on the objects of one scope.

`adapters/object_store.py` makes the operations out of them, once for all backends: who wrote what
is there, which write counts, and what is kept of a deletion is decided there. A driver stores,
reads, removes and lists what it is told to, and keeps a condition or says that it did not hold.
What its service reports leaves it as it came; `Service` says how it is translated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from signalbox.adapters.failure import Service
from signalbox.adapters.port import BodyReader, Capability, TimeLimit
from signalbox.commands.object_store import (
    DEFAULT_CONTENT_TYPE,
    Condition,
    ObjectInfo,
    PresignedGet,
    PresignedPost,
    PresignedPut,
)
from signalbox.commands.payload import (
    InlinePayload,
    PayloadStore,
    StagedPayload,
    open_payload,
    verified_chunks,
)
from signalbox.commands.scope import Scope


class Area(StrEnum):
    """Parts of a scope's place in a bucket. Only RAW is listed."""

    RAW = "raw"
    ASSETS = "assets"
    TOMBSTONES = "tombstones"


class Changed(Exception):
    """The service refused a condition: what it names is not what is there."""


class Doubtful(Exception):
    """A write whose own repetition was refused as done already: it may have been done. Raised
    from the service's error, which counts if it was not."""


class Refusal(StrEnum):
    """What a service's error says to a request with a condition that does not hold."""

    DENIED = "denied"
    UNKNOWN_REQUEST = "unknown request"


@dataclass(slots=True)
class StoredObject:
    """What the service knows of an object that is there."""

    size: int
    etag: str
    """Without quotes; another after each write that changes the content."""
    modified: datetime
    content_type: str
    metadata: Mapping[str, str]
    """The caller's, as it was written."""
    attributes: Mapping[str, str]
    """Ours, as they were written beside it; empty if it came another way."""
    replica: str | None = None
    """The region of the replica that told of it."""


@dataclass(slots=True)
class Draft:
    """What an object is to be."""

    payload: InlinePayload | StagedPayload
    payloads: PayloadStore | None = None
    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self.payload.size

    @contextmanager
    def chunks(self) -> Iterator[Iterator[bytes]]:
        """The content, piece by piece. Reading to the end raises IntegrityMismatch if it is not
        what was announced."""
        assert self.payloads is not None  # noqa: S101 - what is staged has a store
        with closing(open_payload(self.payload, self.payloads)) as source:
            yield verified_chunks(self.payload, source)

    def whole(self) -> bytes:
        """All of the content, for one that is small. Raises IntegrityMismatch."""
        if isinstance(self.payload, InlinePayload):
            return self.payload.data
        with self.chunks() as chunks:
            return b"".join(chunks)


@dataclass(frozen=True)
class Opened:
    """Content on its way: what the object is, and its bytes from `first` on, `size` of them."""

    there: StoredObject
    first: int
    size: int
    body: BodyReader
    """What its reading raises is translated by the store."""


class TokenFault(StrEnum):
    """What a service's error may say of the token of a list."""

    REFUSED = "refused"
    """It gave no such token."""
    CRASHED = "crashed"
    """A fault of its own, which some have over tokens that they never gave."""


class Entry(NamedTuple):
    """One object of a list, as the service gave it: nothing of it was looked at."""

    name: str
    size: object
    etag: object
    modified: datetime
    known: ObjectInfo | None = None
    """All of it, where the service tells it with a list."""


@dataclass(frozen=True)
class Page:
    """What one request for a list gave: nothing of it was looked at."""

    entries: Sequence[Entry]
    folded: Sequence[str]
    """Beginnings of names, up to the delimiter."""
    token: object
    """Where the next page begins; None or empty at the end."""


@dataclass(frozen=True)
class ObjectTraits:
    """What one route's service can do; declared once, and used by the store."""

    unsupported: Mapping[Capability, tuple[str, str]]
    """For each capability that it lacks: why, and what to do instead. The driver is never asked
    for these."""
    fenced_writes: bool = True
    """Every write is conditional, and a delete leaves a tombstone."""
    weaker_fences: bool = False
    """The operator accepts a service that keeps less than the conditions say."""
    requests_expire: bool = True
    """The service refuses a request that arrives after its time limit."""
    attributes_are_ours: bool = True
    """Nobody who uploads to a presigned address can write attributes."""
    small_bytes: int = 8 * 1024**2
    """A look costs little beside sending more than this."""
    transactional: bool = False
    """The driver is a TransactionalObjectDriver (`object_transaction.py`): it writes many objects
    at once, in transactions that look first."""


class ObjectDriver(Protocol):
    """One scope on one route. Methods are thread-safe. A `name` is what `name` gave for a key."""

    @property
    def scope(self) -> Scope: ...

    @property
    def service(self) -> Service: ...

    @property
    def traits(self) -> ObjectTraits: ...

    def name(self, key: str, area: Area = Area.RAW) -> str:
        """The service's own name for it. Raises InvalidKey for one that it cannot hold; no key
        has a longer name in ASSETS than in RAW by more than a few bytes, or in TOMBSTONES."""

    def uri(self, name: str) -> str:
        """For people; no call to the service."""

    def check_etag(self, etag: str) -> None:
        """Raise PreconditionFailed for what cannot be an ETag of the service."""

    def look(self, name: str, *, sure: bool, replicas: bool = False) -> StoredObject | None:
        """What is there, None if nothing is; `sure` tells nothing there from a missing bucket.
        With `replicas` one of those may answer for a bucket that is down."""

    def open(
        self,
        name: str,
        first: int | None = None,
        last: int | None = None,
        *,
        etag: str | None = None,
        replicas: bool = False,
    ) -> Opened:
        """The content, or bytes `first` to `last`, included, of it; with `etag` only of that
        version. What is not there, and a range behind the end, are translated to NotFound and
        PastEnd."""

    def write(self, name: str, draft: Draft, condition: Condition, limit: TimeLimit) -> str:
        """Store it whole and durably, or not at all, in bounded memory; its ETag.

        Raises Changed, Doubtful, IntegrityMismatch (nothing is stored then) and TooLarge.
        """

    def remove(self, name: str, etag: str | None, limit: TimeLimit) -> None:
        """Remove what is there, or only that version; what is gone already is no error. Raises
        Changed."""

    def prefix(self, prefix: str) -> str:
        """What the names of all keys with this prefix begin with; names of others may too."""

    def key(self, name: str) -> str:
        """The inverse of `name` for RAW, also of the beginning of a name."""

    def list(self, prefix: str, delimiter: str | None, limit: int, token: str | None) -> Page:
        """One request for names in UTF-8 byte order of their keys; `prefix` is what `prefix`
        gave, `token` (it may be forged) what a page before had."""

    def token_fault(self, error: Exception) -> TokenFault | None:
        """What an error of `list` says of the token; None: nothing."""

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        """A form that takes this name and content type, and this least and highest size."""

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut: ...

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet: ...

    def refusal(self, error: Exception) -> Refusal | None:
        """What an error of `write` or `remove` says of the condition; None: nothing."""

    def collect_orphans(self, older_than: timedelta) -> int:
        """Remove what crashes left behind before so long ago, and tombstones that have served
        their time; how many contents. 0 where the service does that itself."""

    def close(self) -> None:
        """Give back what the driver holds."""


class UnsignedDriver:
    """For drivers whose traits lack all three ways of signing: they are never asked."""

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        raise NotImplementedError

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut:
        raise NotImplementedError

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet:
        raise NotImplementedError
