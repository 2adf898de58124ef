"""The port of object stores: what a backend of this kind implements.

Where the backends agree is said here, once; where one differs, its own docstring says so.
Keys arrive checked (`commands/key.py`). Every method may raise PermissionDenied, Misconfigured
(missing bucket, wrong region), Throttled, Unavailable and InsufficientStorage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapters.port import BodyReader, Call, Capability
from commands.object_store import (
    AssetRecord,
    DeleteObject,
    DeleteResult,
    GetObject,
    HeadObject,
    ListObjects,
    ListResult,
    ObjectInfo,
    ObjectUri,
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PresignGet,
    PresignPost,
    PresignPut,
    PutObject,
    PutResult,
    RegisterObject,
    UriResult,
)


@dataclass(frozen=True)
class ObjectStream:
    """The answer of `get`: what the object is, and its bytes from `first` on, `size` of them."""

    info: ObjectInfo
    first: int
    size: int
    body: BodyReader


class ObjectStore(Protocol):
    """One tenant's objects in one environment on one backend. Methods are thread-safe."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def put(self, command: PutObject, call: Call) -> PutResult:
        """Store the content whole and durably, or not at all, in bounded memory.

        Raises AlreadyExists (`if_absent`), PreconditionFailed (`if_match`), IntegrityMismatch
        (the content is not what was announced: nothing is stored), TooLarge.
        On a takeover: done already, as the mark of what is there says: its result; a newer `seq`
        is there, of an object or of a deletion: nothing is written, and the result is that of
        this command, `superseded`.
        """

    def get(self, command: GetObject, call: Call) -> ObjectStream:
        """Open the content. Raises NotFound, and InvalidCommand for a range past the end."""

    def head(self, command: HeadObject, call: Call) -> ObjectInfo:
        """Raises NotFound."""

    def delete(self, command: DeleteObject, call: Call) -> DeleteResult:
        """Remove the object; no error if there is none. Raises PreconditionFailed (`if_match`).

        On a takeover an object with a newer `seq` stays, and the result is `superseded`. One that
        had its effect before succeeds again, whatever its condition.
        """

    def list(self, command: ListObjects, call: Call) -> ListResult:
        """One page in UTF-8 byte order of keys; `metadata`, `content_type` and `sha256` of the
        objects may be left at their defaults. Raises InvalidCommand for a forged cursor."""

    def presign_post(self, command: PresignPost, call: Call) -> PresignedPost:
        """A form that takes exactly this key and content type within the size limits."""

    def presign_put(self, command: PresignPut, call: Call) -> PresignedPut:
        """An address for one PUT; neither size nor, on Azure, content type can be held to."""

    def presign_get(self, command: PresignGet, call: Call) -> PresignedGet:
        """An address to read the object from; no check that it exists."""

    def uri(self, command: ObjectUri, call: Call) -> UriResult:
        """The backend's own name for the object; no call to the backend."""

    def register(self, command: RegisterObject, call: Call) -> AssetRecord:
        """Check that the object is there and keep its asset record; a second call renews it.

        On a takeover a record of this command is its result, and so is one of a newer command,
        `superseded`.
        Raises NotFound, and PreconditionFailed when size or digest differ.
        """

    def check_fences(self, key: str, call: Call) -> None:
        """Try whether what keeps older writes from undoing newer ones works, on the object that is
        under the key, and may be gone then. Raises WeakerFences."""

    def close(self) -> None:
        """Give back what the adapter holds; it is not used again."""
