"""Object driver for S3 and compatible services.

An object's key in the bucket is `tenants/{tenant_id}/{env}/raw/{key}`, at most 1,024 bytes in all,
so keys must be shorter than on other backends by this prefix.

S3's ETag is a digest, so content that is replaced by equal content between a look and a write
counts as unchanged. Since requests expire with their time limit, this can hardly happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from signalbox.adapters.aws.failure import code_of, status_of
from signalbox.adapters.capability import Capability
from signalbox.adapters.failure import Reporter
from signalbox.adapters.object_driver import (
    Area,
    Changed,
    Doubtful,
    Draft,
    ObjectTraits,
    Opened,
    Page,
    Refusal,
    StoredObject,
    TokenFault,
)
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.s3 import listing, presign, replica
from signalbox.adapters.s3.client import Access
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.engine import Engine, Target
from signalbox.adapters.s3.etag import quoted
from signalbox.adapters.s3.failure import SERVICE, condition_failed
from signalbox.adapters.s3.location import Location
from signalbox.adapters.s3.metadata import join
from signalbox.adapters.s3.upload import PART_BYTES, upload
from signalbox.commands.object_store import Condition, PresignedGet, PresignedPost, PresignedPut

_NO_FORMS = (
    "S3 takes no form posts through an access point",
    "route to the bucket itself for browser uploads",
)


def open_driver(context: AdapterContext) -> S3ObjectDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return S3ObjectDriver(Location(read_config(context.config), context.scope))


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config)


class S3ObjectDriver:
    """An ObjectDriver with S3's own conditions."""

    service = SERVICE

    def __init__(self, location: Location) -> None:
        config = location.config
        self.scope = location.scope
        self.config = config
        self.traits = ObjectTraits(
            unsupported={Capability.PRESIGN_POST: _NO_FORMS} if config.is_access_point else {},
            fenced_writes=config.fenced_writes,
            weaker_fences=config.weaker_fences == "accept",
            small_bytes=PART_BYTES,
        )
        self._location = location
        self._reporter = Reporter(SERVICE, location.scope)
        self._accesses = [Access(each, self.scope) for each in (config, *config.replicas)]

    def name(self, key: str, area: Area = Area.RAW) -> str:
        return self._location.full_key(key, area)

    def uri(self, name: str) -> str:
        return self._location.uri(name)

    def check_etag(self, etag: str) -> None:
        quoted(etag)

    def look(self, name: str, *, sure: bool, replicas: bool = False) -> StoredObject | None:
        if not replicas:
            return self._engine().look(name, sure=sure)
        there, region = replica.read(
            self._reporter, self._accesses, lambda engine: engine.look(name, sure=sure)
        )
        return replace(there, replica=region) if there and region else there

    def open(
        self,
        name: str,
        first: int | None = None,
        last: int | None = None,
        *,
        etag: str | None = None,
        replicas: bool = False,
    ) -> Opened:
        if_match = quoted(etag) if etag is not None else None
        accesses = self._accesses if replicas else self._accesses[:1]
        opened, region = replica.read(
            self._reporter, accesses, lambda engine: engine.get(name, first, last, if_match)
        )
        if region:
            return replace(opened, there=replace(opened.there, replica=region))
        return opened

    def write(self, name: str, draft: Draft, condition: Condition, limit: TimeLimit) -> str:
        """Write with one request up to 8 MiB, and a multipart upload beyond.

        412 is final, 409 temporary.
        """
        headers = _headers(condition)
        beside = join(draft.metadata, draft.attributes)
        target = Target(self.config, name, draft.content_type, beside)
        try:
            return upload(self._engine(), target, draft, limit, headers)
        except ClientError as error:
            if headers and condition_failed(error):
                raise Changed from None
            # It may have been completed by an attempt whose response was lost.
            if code_of(error) == "NoSuchUpload":
                raise Doubtful from error
            raise

    def remove(self, name: str, etag: str | None, limit: TimeLimit) -> None:
        """Remove the object, with `If-Match` for an ETag.

        S3 supports this on DeleteObject since 2025. Some compatible services ignore it; the
        condition then depends on the look before.
        """
        try:
            self._engine().delete(name, limit, quoted(etag) if etag is not None else None)
        except ClientError as error:
            # The object is gone, perhaps by our own request, which was sent twice.
            if code_of(error) == "NoSuchKey":
                return
            if condition_failed(error):
                raise Changed from None
            raise

    def prefix(self, prefix: str) -> str:
        return self._location.raw + prefix

    def key(self, name: str) -> str:
        return name.removeprefix(self._location.raw)

    def list(self, prefix: str, delimiter: str | None, limit: int, token: str | None) -> Page:
        client = self._engine().client
        return listing.list_names(client, self.config.bucket, prefix, delimiter, limit, token)

    def token_fault(self, error: Exception) -> TokenFault | None:
        return listing.token_fault(error)

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        client = self._engine().client
        return presign.sign_post(client, self.config, name, content_type, sizes, expires)

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut:
        return presign.sign_put(self._engine().client, self.config, name, content_type, expires)

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet:
        return presign.sign_get(self._engine().client, self.config, name, expires)

    def refusal(self, error: Exception) -> Refusal | None:
        if not isinstance(error, ClientError):
            return None
        return {403: Refusal.DENIED, 501: Refusal.UNKNOWN_REQUEST}.get(status_of(error))

    def collect_orphans(self, older_than: timedelta) -> int:  # noqa: ARG002 - lifecycle rules do
        return 0

    def close(self) -> None:
        """Do nothing: the clients belong to the process."""

    def _engine(self) -> Engine:
        return self._accesses[0].engine()


def _headers(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    return {} if condition.if_match is None else {"IfMatch": quoted(condition.if_match)}
