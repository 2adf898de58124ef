"""The driver interface for object stores: primitives on the objects of one scope.

`adapters/object_store.py` implements the operations with them, once for all backends; it decides
who wrote an object, which write counts, and what remains of a deletion. A driver stores, reads,
removes and lists what it is told to, and fulfils a condition or reports that it failed. It raises
its service's errors untranslated; its `Service` translates them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from signalbox.adapters.capability import Capability
from signalbox.adapters.failure import Service
from signalbox.adapters.port import BodyReader, TimeLimit
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
    """Areas of a scope in a bucket. Only RAW is listed."""

    RAW = "raw"
    ASSETS = "assets"
    TOMBSTONES = "tombstones"


class Changed(Exception):
    """The service refused a condition: the object is not the one that it names."""


class Doubtful(Exception):
    """A write whose own retry was refused as already done: it may have been done.

    Raised from the service's error, which counts if it was not.
    """


class Refusal(StrEnum):
    """What a service's error says about a request whose condition fails."""

    DENIED = "denied"
    UNKNOWN_REQUEST = "unknown request"


@dataclass(slots=True)
class StoredObject:
    """What the service knows of an existing object."""

    size: int
    """Size in bytes."""
    etag: str
    """ETag without quotes; changes with each write that changes the content."""
    modified: datetime
    """When it was written, by the service's clock."""
    content_type: str
    """Media type."""
    metadata: Mapping[str, str]
    """The caller's metadata."""
    attributes: Mapping[str, str]
    """Signalbox's attributes; empty if it was not written by Signalbox."""
    replica: str | None = None
    """Region of the replica that answered; None for the bucket itself."""


@dataclass(slots=True)
class Draft:
    """An object to be written."""

    payload: InlinePayload | StagedPayload
    """The content."""
    payloads: PayloadStore | None = None
    """Where staged content is read."""
    content_type: str = DEFAULT_CONTENT_TYPE
    """Media type."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's metadata."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Signalbox's attributes."""

    @property
    def size(self) -> int:
        """Size of the content in bytes."""
        return self.payload.size

    @contextmanager
    def chunks(self) -> Iterator[Iterator[bytes]]:
        """Yield the content in chunks.

        Raises IntegrityMismatch at the end if it differs from what was announced.
        """
        assert self.payloads is not None  # noqa: S101 - staged content has a store
        with closing(open_payload(self.payload, self.payloads)) as source:
            yield verified_chunks(self.payload, source)

    def whole(self) -> bytes:
        """Return all of the content, for small ones. Raises IntegrityMismatch."""
        if isinstance(self.payload, InlinePayload):
            return self.payload.data
        with self.chunks() as chunks:
            return b"".join(chunks)


@dataclass(frozen=True)
class Opened:
    """An open content: what the object is, and `size` bytes from offset `first` on."""

    there: StoredObject
    """The object."""
    first: int
    """Offset of the first byte."""
    size: int
    """Number of bytes."""
    body: BodyReader
    """The bytes; the store translates the errors of reading."""


class TokenFault(StrEnum):
    """What a service's error says about the token of a list."""

    REFUSED = "refused"
    """The service did not give this token."""
    CRASHED = "crashed"
    """An internal error, which some services have for tokens that they did not give."""


class Entry(NamedTuple):
    """One object in a list, as the service gave it, unchecked."""

    name: str
    size: object
    etag: object
    modified: datetime
    known: ObjectInfo | None = None
    """Complete information, if the service includes it in lists."""


@dataclass(frozen=True)
class Page:
    """The response to one list request, unchecked."""

    entries: Sequence[Entry]
    """The objects."""
    folded: Sequence[str]
    """Prefixes of names, up to the delimiter."""
    token: object
    """Token of the next page; None or empty at the end."""


@dataclass(frozen=True)
class ObjectTraits:
    """What the service of one route can do; declared once and used by the store."""

    unsupported: Mapping[Capability, tuple[str, str]]
    """For each missing capability the reason, and what to do instead. The driver is never asked for
    these."""
    fenced_writes: bool = True
    """True if every write is conditional and every delete leaves a tombstone."""
    weaker_fences: bool = False
    """True if the operator accepts a service that does not fulfil all conditions."""
    requests_expire: bool = True
    """True if the service refuses a request that arrives after its time limit."""
    attributes_are_ours: bool = True
    """True if uploads to presigned URLs cannot set attributes."""
    small_bytes: int = 8 * 1024**2
    """Content size in bytes above which looking first costs little in comparison."""
    transactional: bool = False
    """True if the driver is a TransactionalObjectDriver (`object_transaction.py`), which writes
    many objects in transactions."""


class ObjectDriver(Protocol):
    """The objects of one scope on one route. Methods are thread-safe.

    A parameter `name` is what the method `name` returned for a key.
    """

    @property
    def scope(self) -> Scope:
        """The scope."""

    @property
    def service(self) -> Service:
        """The service, for errors."""

    @property
    def traits(self) -> ObjectTraits:
        """What the service can do."""

    def name(self, key: str, area: Area = Area.RAW) -> str:
        """Return the service's own name for a key. Raises InvalidKey.

        Names in ASSETS and TOMBSTONES may be only a few bytes longer than in RAW.
        """

    def uri(self, name: str) -> str:
        """Return the object's address, for people; makes no call."""

    def check_etag(self, etag: str) -> None:
        """Raise PreconditionFailed for a text that cannot be an ETag of the service."""

    def look(self, name: str, *, sure: bool, replicas: bool = False) -> StoredObject | None:
        """Return what is known of the object; None if there is none.

        With `sure`, a missing bucket is told apart from a missing object. With `replicas`, a
        replica may answer for a bucket that is down.
        """

    def open(
        self,
        name: str,
        first: int | None = None,
        last: int | None = None,
        *,
        etag: str | None = None,
        replicas: bool = False,
    ) -> Opened:
        """Open the content, or bytes `first` to `last` inclusive; with `etag` only of that version.

        The errors for a missing object and a range past the end are translated to NotFound and
        PastEnd.
        """

    def write(self, name: str, draft: Draft, condition: Condition, limit: TimeLimit) -> str:
        """Store the object whole and durably, or not at all, in bounded memory; return its ETag.

        Raises Changed, Doubtful, TooLarge and IntegrityMismatch (nothing is stored then).
        """

    def remove(self, name: str, etag: str | None, limit: TimeLimit) -> None:
        """Remove the object, or only the version with `etag`; a missing one is no error.

        Raises Changed.
        """

    def prefix(self, prefix: str) -> str:
        """Return the prefix of the names of all keys with this prefix.

        Other names may have it too.
        """

    def key(self, name: str) -> str:
        """Return the key of a name in RAW, or of the beginning of a name."""

    def list(self, prefix: str, delimiter: str | None, limit: int, token: str | None) -> Page:
        """Make one request for names, in UTF-8 byte order of their keys.

        `prefix` is what the method `prefix` returned; `token` is that of an earlier page, and may
        be forged.
        """

    def token_fault(self, error: Exception) -> TokenFault | None:
        """Return what an error of `list` says about the token; None if nothing."""

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        """Return a form for uploads with this name, content type, and minimum and maximum size."""

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut:
        """Return a URL for one PUT."""

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet:
        """Return a URL for reading the object."""

    def refusal(self, error: Exception) -> Refusal | None:
        """Return what an error of `write` or `remove` says about the condition; None if nothing."""

    def collect_orphans(self, older_than: timedelta) -> int:
        """Remove leftovers of crashes that are older than this, and old tombstones.

        Returns the number of contents removed; 0 if the service does this itself.
        """

    def close(self) -> None:
        """Release the driver's resources."""


class UnsignedDriver:
    """Base of drivers without presigned URLs, whose sign methods are never called."""

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        raise NotImplementedError

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut:
        raise NotImplementedError

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet:
        raise NotImplementedError
