"""The requests on one object that more than one engine can send."""

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
    """Where content goes and what stands beside it."""

    config: S3Config
    full_key: str
    content_type: str
    metadata: dict[str, str]


Headers = Mapping[str, Any]
"""`IfMatch` (quoted) or `IfNoneMatch`, or nothing."""


class Engine(Protocol):
    """One bucket, by one way of sending requests.

    Whatever the engine, what fails raises botocore's ClientError or BotoCoreError, or an error of
    Signalbox. `limit` is asked before the first byte of each effect.
    """

    @property
    def client(self) -> S3Client:
        """boto3, for what no other engine can: lists, parts, presigned addresses."""

    def bounded(self, limit: TimeLimit) -> AbstractContextManager[None]:
        """Around effects by `client`: each ends with the limit, by S3's own clock."""

    def put(self, target: Target, content: bytes, limit: TimeLimit, condition: Headers) -> str:
        """Store the content, and return its ETag without quotes."""

    def get(
        self, full_key: str, first: int | None, last: int | None, if_match: str | None = None
    ) -> Opened:
        """Open the content, or bytes `first` to `last`, included, of it; with `if_match` (quoted)
        only of that version."""

    def look(self, full_key: str, *, sure: bool) -> StoredObject | None:
        """What is under `full_key`, None if nothing is.

        A HEAD has no body, so its 404 may also mean a missing bucket; `sure` asks for the bucket
        then and raises NoSuchBucket. Leave it out where a write follows that would say so itself.
        """

    def delete(self, full_key: str, limit: TimeLimit, if_match: str | None = None) -> None:
        """Remove what is there; with `if_match` (quoted) only that."""
