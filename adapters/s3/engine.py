"""The interface of S3 engines: requests on one object that several implementations can send."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from signalbox.adapters.object_driver import Opened, StoredObject
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.s3.config import S3Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Target:
    """An object to be written."""

    config: S3Config
    """The route's config."""
    full_key: str
    """The key in the bucket."""
    content_type: str
    """Media type."""
    metadata: dict[str, str]
    """Metadata for S3."""


Headers = Mapping[str, Any]
"""`IfMatch` (quoted) or `IfNoneMatch`, or empty."""


class Engine(Protocol):
    """One bucket, by one way of sending requests.

    Every engine raises botocore's ClientError or BotoCoreError, or an error of Signalbox. `limit`
    is checked before the first byte of each effect.
    """

    @property
    def client(self) -> S3Client:
        """boto3's client, for requests that no other engine can send.

        Lists, parts, presigned URLs.
        """

    def bounded(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Have effects by `client` that expire with the limit, by S3's own clock."""

    def put(self, target: Target, content: bytes, limit: TimeLimit, condition: Headers) -> str:
        """Store the content; return its ETag without quotes."""

    def get(
        self, full_key: str, first: int | None, last: int | None, if_match: str | None = None
    ) -> Opened:
        """Open the content, or bytes `first` to `last` inclusive.

        With `if_match` (quoted) only of that version.
        """

    def look(self, full_key: str, *, sure: bool) -> StoredObject | None:
        """Return what is known of the object under `full_key`; None if there is none.

        A HEAD has no body, so its 404 may also mean a missing bucket. With `sure` the bucket is
        checked then, and NoSuchBucket raised. This is not needed if a write follows, which would
        report it.
        """

    def delete(self, full_key: str, limit: TimeLimit, if_match: str | None = None) -> None:
        """Remove the object; with `if_match` (quoted) only that version."""
