"""The commands of an object store and their results."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from signalbox.commands.documented import Documented
from signalbox.commands.error import InvalidKey
from signalbox.commands.key import ObjectKey, ObjectPrefix
from signalbox.commands.model import Command, register
from signalbox.commands.payload import Payload, Sha256
from signalbox.commands.result import Result, Returns, WriteResult
from signalbox.commands.vocabulary import DEFAULT_CONTENT_TYPE as DEFAULT_CONTENT_TYPE

# S3 takes 2,048 bytes; 256 of them are for the op_id, seq and SHA-256 that we keep beside.
MAX_METADATA_BYTES = 1792


def _without_end_spaces(text: str) -> str:
    # In HTTP they are no part of a header's value, and some backends keep them, others do not.
    return text.rstrip(" ")


ContentType = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[ -~]*)?$", max_length=255),
    AfterValidator(_without_end_spaces),
]
Metadata = dict[
    Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")],
    Annotated[str, Field(pattern=r"^[ -~]*$", max_length=1024)],
]
Seconds = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=7))]


class Condition(Documented):
    """A condition of a write. A command whose condition does not hold fails, and is not retried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if_absent: bool = False
    """Write only if the key does not exist, else ALREADY_EXISTS."""
    if_match: str | None = None
    """Write only if the object has this ETag, else PRECONDITION_FAILED."""

    @model_validator(mode="after")
    def _one_at_most(self) -> Condition:
        if self.if_absent and self.if_match is not None:
            raise ValueError("if_absent and if_match exclude each other")
        return self


class ObjectInfo(Result):
    """The properties of a stored object."""

    key: str
    """Key of the object."""
    size: int
    """Size in bytes."""
    etag: str
    """ETag without quotes: an opaque text that changes with each write."""
    modified: datetime
    """When the object was last written, by the backend's clock."""
    content_type: str = DEFAULT_CONTENT_TYPE
    """Media type of the content."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Metadata of the object."""
    sha256: str | None = None
    """SHA-256 of the content, if its writer gave it."""
    replica: str | None = None
    """Region of the replica that answered, which may lag; None if the bucket itself did."""


class PutResult(WriteResult):
    """The answer to a put."""

    key: str
    """Key of the object."""
    size: int
    """Size in bytes."""
    etag: str
    """ETag without quotes."""
    sha256: str
    """SHA-256 of the content, as 64 hexadecimal digits."""
    uri: str
    """The backend's own URI of the object."""


class GetResult(Result):
    """The answer to a get."""

    info: ObjectInfo
    """Properties of the whole object."""
    first: int
    """Position in the object of the first byte of `payload`, counted from 0."""
    payload: Payload
    """The content, or the requested range of it."""


class DeleteResult(WriteResult):
    """The answer to a delete."""

    key: str
    """Key of the object."""


class ListResult(Result):
    """One page of an object list."""

    objects: list[ObjectInfo]
    """The objects, ordered by the UTF-8 bytes of their keys."""
    prefixes: list[str] = Field(default_factory=list)
    """With `delimiter`, the prefixes of the keys of deeper levels, each ending in `/`."""
    next_cursor: str | None = None
    """Pass as `cursor` for the next page; None on the last."""


class PresignedPost(Result):
    """A form for an upload: POST it as multipart/form-data, `fields` first and then the file."""

    url: str
    """Where to send the form."""
    fields: dict[str, str]
    """Fields of the form, to be sent unchanged."""
    expires_at: datetime
    """When the form expires."""


class PresignedPut(Result):
    """A URL for an upload with one PUT request."""

    url: str
    """Where to PUT the content."""
    headers: dict[str, str]
    """Headers that the request must have."""
    expires_at: datetime
    """When the URL expires."""


class PresignedGet(Result):
    """A URL for a download."""

    url: str
    """Where to GET the content."""
    expires_at: datetime
    """When the URL expires."""


class UriResult(Result):
    """The answer to `uri`."""

    uri: str
    """The backend's own URI of the object."""


class AssetRecord(WriteResult):
    """The record that `register` stores: one for each key, and not listed with the objects."""

    asset_id: str
    """Id of the asset."""
    key: str
    """Key of the object."""
    uri: str
    """The backend's own URI of the object."""
    size: int
    """Size of the object in bytes."""
    etag: str
    """ETag of the object without quotes."""
    content_type: str
    """Media type of the content."""
    sha256: str | None
    """SHA-256 of the content, if it was given."""
    metadata: dict[str, str]
    """Metadata of the asset."""
    registered_at: datetime
    """When the asset was registered."""


class ObjectCommand(Command):
    """A command on one object. Writes of the same key take effect in accepted order."""

    key: ObjectKey
    """Key of the object, at most 1,024 bytes, such as `docs/a.txt`."""

    @property
    def item_key(self) -> str | None:
        return f"{self.kind}:{self.key}"

    @property
    def subject(self) -> str:
        return self.key


@register
class PutObject(ObjectCommand, Returns[PutResult]):
    """Store an object, completely or not at all."""

    op: Literal["object_store.put"] = "object_store.put"
    payload: Payload
    """The content, inline or staged; `Client.content.payload` makes it."""
    content_type: ContentType = DEFAULT_CONTENT_TYPE
    """Media type of the content."""
    metadata: Metadata = Field(default_factory=dict)
    """Metadata of the object, at most 1,792 bytes in all."""
    condition: Condition = Condition()
    """Condition of the write; the default writes in any case."""

    @model_validator(mode="after")
    def _metadata_fits(self) -> PutObject:
        if not self.metadata:
            return self
        if (
            sum(len(name) + len(value) for name, value in self.metadata.items())
            > MAX_METADATA_BYTES
        ):
            raise ValueError(f"metadata is over {MAX_METADATA_BYTES} bytes")
        if any(name.startswith("signalbox-") for name in self.metadata):
            raise ValueError("metadata names that start with signalbox- are reserved")
        return self

    @property
    def size(self) -> int:
        return self.payload.size

    @property
    def new_objects(self) -> int:
        return 1

    def fingerprint_fields(self) -> dict[str, Any]:
        # The content counts, not where it was staged: a second try stages it anew. By hand, since
        # a dump of the model costs as much as all else that a client does for a small put.
        condition = self.condition
        return {
            "op": self.op,
            "tenant_id": self.tenant_id,
            "env": self.env,
            "mode": self.mode.value,
            "key": self.key,
            "content_type": self.content_type,
            "metadata": self.metadata,
            "condition": {"if_absent": condition.if_absent, "if_match": condition.if_match},
            "sha256": self.payload.sha256,
            "size": self.payload.size,
        }


@register
class GetObject(ObjectCommand, Returns[GetResult]):
    """Read an object or one range of its bytes.

    A range that ends after the object is cut off at its end. A range that begins at or after the
    end is refused, except from byte 0: an empty object has an empty range.
    """

    writes = False
    op: Literal["object_store.get"] = "object_store.get"
    first: int | None = Field(None, ge=0)
    """First byte of the range, counted from 0; None is 0."""
    last: int | None = Field(None, ge=0)
    """Last byte of the range, included; None reads to the end."""

    @model_validator(mode="after")
    def _range_is_forward(self) -> GetObject:
        if self.last is not None and self.last < (self.first or 0):
            raise ValueError("the range ends before it begins")
        return self


@register
class HeadObject(ObjectCommand, Returns[ObjectInfo]):
    """Read size, ETag and metadata of an object, without its content."""

    writes = False
    op: Literal["object_store.head"] = "object_store.head"


@register
class DeleteObject(ObjectCommand, Returns[DeleteResult]):
    """Delete an object. Without a condition this succeeds even if the object does not exist."""

    op: Literal["object_store.delete"] = "object_store.delete"
    if_match: str | None = None
    """Delete only if the object has this ETag, else PRECONDITION_FAILED."""


@register
class ListObjects(Command, Returns[ListResult]):
    """Read one page of an object list, ordered by the UTF-8 bytes of the keys."""

    writes = False
    op: Literal["object_store.list"] = "object_store.list"
    prefix: ObjectPrefix = ""
    """List only keys that begin with this text."""
    delimiter: Literal["", "/"] = ""
    """`/` lists one level: keys with a `/` after the prefix are grouped into prefixes."""
    limit: int = Field(1000, ge=1, le=1000)
    """Maximum number of keys and prefixes in a page."""
    cursor: str | None = Field(None, max_length=4096)
    """`next_cursor` of the previous page; None for the first."""

    @property
    def subject(self) -> str:
        return f"{self.prefix}*"


@register
class PresignPost(ObjectCommand, Returns[PresignedPost]):
    """Make a form with which a browser can upload one object directly to the backend."""

    writes = False
    op: Literal["object_store.presign_post"] = "object_store.presign_post"
    content_type: ContentType
    """Media type that the upload must have."""
    max_bytes: int = Field(ge=1, le=5 * 1024**3)
    """Maximum size of the upload in bytes."""
    min_bytes: int = Field(0, ge=0)
    """Minimum size of the upload in bytes."""
    expires: Seconds = timedelta(minutes=15)
    """How long the form is valid, at most 7 days."""

    @model_validator(mode="after")
    def _form_is_exact(self) -> PresignPost:
        if self.min_bytes > self.max_bytes:
            raise ValueError("min_bytes is over max_bytes")
        # A form key with ${filename} becomes a starts-with rule: it would not be this key.
        if "${filename}" in self.key:
            raise InvalidKey("a presigned key cannot hold ${filename}", next_step="name it whole")
        return self


@register
class PresignPut(ObjectCommand, Returns[PresignedPut]):
    """Make a URL to which the whole content can be uploaded with one PUT request."""

    writes = False
    op: Literal["object_store.presign_put"] = "object_store.presign_put"
    content_type: ContentType = DEFAULT_CONTENT_TYPE
    """Media type that the upload must have."""
    expires: Seconds = timedelta(minutes=15)
    """How long the URL is valid, at most 7 days."""


@register
class PresignGet(ObjectCommand, Returns[PresignedGet]):
    """Make a URL with which anyone who has it can read the object until it expires."""

    writes = False
    op: Literal["object_store.presign_get"] = "object_store.presign_get"
    expires: Seconds = timedelta(minutes=15)
    """How long the URL is valid, at most 7 days."""


@register
class ObjectUri(ObjectCommand, Returns[UriResult]):
    """Return the backend's own URI of an object, which need not exist."""

    writes = False
    op: Literal["object_store.uri"] = "object_store.uri"


@register
class RegisterObject(ObjectCommand, Returns[AssetRecord]):
    """After a presigned upload: verify that the object exists and store an asset record of it."""

    op: Literal["object_store.register"] = "object_store.register"
    size_bytes: int | None = Field(None, ge=0)
    """Expected size in bytes; another size is refused."""
    sha256: Sha256 | None = None
    """Expected SHA-256 of the content; another digest is refused."""
    metadata: Metadata = Field(default_factory=dict)
    """Metadata of the asset record."""
