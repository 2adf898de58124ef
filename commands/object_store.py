"""The commands of an object store and what they answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from signalbox.commands.error import InvalidKey
from signalbox.commands.key import ObjectKey, ObjectPrefix
from signalbox.commands.model import Command, register
from signalbox.commands.payload import Payload, Sha256
from signalbox.commands.result import Result, Returns, WriteResult

DEFAULT_CONTENT_TYPE = "application/octet-stream"
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


class Condition(BaseModel):
    """When a write may happen; a condition that does not hold is final, not retried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if_absent: bool = Field(False, description="Create only: ALREADY_EXISTS if the key exists.")
    if_match: str | None = Field(
        None, description="Replace only this ETag: PRECONDITION_FAILED if it is another or none."
    )

    @model_validator(mode="after")
    def _one_at_most(self) -> Condition:
        if self.if_absent and self.if_match is not None:
            raise ValueError("if_absent and if_match exclude each other")
        return self


class ObjectInfo(Result):
    """What a backend knows of one object."""

    key: str
    size: int = Field(description="Bytes.")
    etag: str = Field(description="Opaque; changes with each write; no quotes around it.")
    modified: datetime
    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: dict[str, str] = Field(default_factory=dict)
    sha256: str | None = Field(None, description="Of the content, where the writer gave it.")
    replica: str | None = Field(
        None, description="Region of the replica that answered in the bucket's place; it may lag."
    )


class PutResult(WriteResult):
    key: str
    size: int
    etag: str
    sha256: str
    uri: str


class GetResult(Result):
    """The answer to a get; `payload` is the content, or the range that was asked for."""

    info: ObjectInfo
    first: int
    payload: Payload


class DeleteResult(WriteResult):
    key: str


class ListResult(Result):
    objects: list[ObjectInfo]
    prefixes: list[str] = Field(default_factory=list)
    next_cursor: str | None = None


class PresignedPost(Result):
    """POST `fields` and then the file, as multipart/form-data, to `url`."""

    url: str
    fields: dict[str, str]
    expires_at: datetime


class PresignedPut(Result):
    """PUT the content to `url`, with these headers."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


class PresignedGet(Result):
    url: str
    expires_at: datetime


class UriResult(Result):
    uri: str


class AssetRecord(WriteResult):
    """What `register` keeps: one record a key, beside the object and not listed with objects."""

    asset_id: str
    key: str
    uri: str
    size: int
    etag: str
    content_type: str
    sha256: str | None
    metadata: dict[str, str]
    registered_at: datetime


class ObjectCommand(Command):
    """A command on one object; writes on one key take effect in accepted order."""

    key: ObjectKey

    @property
    def item_key(self) -> str | None:
        return f"{self.kind}:{self.key}"

    @property
    def subject(self) -> str:
        return self.key


@register
class PutObject(ObjectCommand, Returns[PutResult]):
    """Store content under a key, whole or not at all."""

    op: Literal["object_store.put"] = "object_store.put"
    payload: Payload
    content_type: ContentType = DEFAULT_CONTENT_TYPE
    metadata: Metadata = Field(default_factory=dict, description="At most 1,792 bytes in all.")
    condition: Condition = Condition()

    @model_validator(mode="after")
    def _metadata_fits(self) -> PutObject:
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
    """Read an object, whole or one range of bytes.

    A range may end behind the object, and what is there is given; one that begins at or behind its
    end is refused, but at byte 0: of an empty object it is empty.
    """

    writes = False
    op: Literal["object_store.get"] = "object_store.get"
    first: int | None = Field(None, ge=0, description="First byte, from 0.")
    last: int | None = Field(None, ge=0, description="Last byte, included; None: to the end.")

    @model_validator(mode="after")
    def _range_is_forward(self) -> GetObject:
        if self.last is not None and self.last < (self.first or 0):
            raise ValueError("the range ends before it begins")
        return self


@register
class HeadObject(ObjectCommand, Returns[ObjectInfo]):
    """Read what is known of an object without its content."""

    writes = False
    op: Literal["object_store.head"] = "object_store.head"


@register
class DeleteObject(ObjectCommand, Returns[DeleteResult]):
    """Remove an object; without a condition it succeeds as well when there is none."""

    op: Literal["object_store.delete"] = "object_store.delete"
    if_match: str | None = Field(None, description="Delete only this ETag.")


@register
class ListObjects(Command, Returns[ListResult]):
    """One page of keys in UTF-8 byte order."""

    writes = False
    op: Literal["object_store.list"] = "object_store.list"
    prefix: ObjectPrefix = ""
    delimiter: Literal["", "/"] = Field("", description="`/` folds deeper keys into prefixes.")
    limit: int = Field(1000, ge=1, le=1000, description="Keys and prefixes in a page.")
    cursor: str | None = Field(
        None, max_length=4096, description="`next_cursor` of the page before."
    )

    @property
    def subject(self) -> str:
        return f"{self.prefix}*"


@register
class PresignPost(ObjectCommand, Returns[PresignedPost]):
    """A form with which a browser uploads straight to the backend."""

    writes = False
    op: Literal["object_store.presign_post"] = "object_store.presign_post"
    content_type: ContentType
    max_bytes: int = Field(ge=1, le=5 * 1024**3)
    min_bytes: int = Field(0, ge=0)
    expires: Seconds = timedelta(minutes=15)

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
    """An address to which the whole content can be uploaded with one PUT."""

    writes = False
    op: Literal["object_store.presign_put"] = "object_store.presign_put"
    content_type: ContentType = DEFAULT_CONTENT_TYPE
    expires: Seconds = timedelta(minutes=15)


@register
class PresignGet(ObjectCommand, Returns[PresignedGet]):
    """An address from which anyone who has it can read the object for a while."""

    writes = False
    op: Literal["object_store.presign_get"] = "object_store.presign_get"
    expires: Seconds = timedelta(minutes=15)


@register
class ObjectUri(ObjectCommand, Returns[UriResult]):
    """The backend's own name of the object, whether it exists or not."""

    writes = False
    op: Literal["object_store.uri"] = "object_store.uri"


@register
class RegisterObject(ObjectCommand, Returns[AssetRecord]):
    """After a presigned upload: check that the object is there and keep an asset record of it."""

    op: Literal["object_store.register"] = "object_store.register"
    size_bytes: int | None = Field(None, ge=0, description="Refuse if the object has another size.")
    sha256: Sha256 | None = Field(None, description="Refuse if the content has another digest.")
    metadata: Metadata = Field(default_factory=dict)
