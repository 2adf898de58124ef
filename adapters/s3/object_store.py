"""Objects on S3 and on services that speak its protocol.

An object's key in the bucket is `tenants/{tenant_id}/{env}/raw/{key}`, at most 1,024 bytes in
all: keys may be shorter here than elsewhere by the length of that prefix.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from adapters import object_fence, object_probe
from adapters.aws.failure import status_of
from adapters.deadline import Deadline
from adapters.object_probe import Meaning
from adapters.object_range import open_range
from adapters.object_store import ObjectStore, ObjectStream
from adapters.port import AdapterContext, Call, Capability
from adapters.s3 import asset, presign, replica
from adapters.s3.client import Access
from adapters.s3.config import S3Config, read_config
from adapters.s3.engine import Engine, Target
from adapters.s3.etag import quoted
from adapters.s3.failure import s3_errors
from adapters.s3.listing import list_page
from adapters.s3.location import Location
from adapters.s3.metadata import pack
from adapters.s3.slot import S3Slot
from adapters.service_clock import ExpiredCall
from commands.error import NotFound
from commands.object_store import (
    DEFAULT_CONTENT_TYPE,
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
from commands.payload import InlinePayload

CAPABILITIES = frozenset(Capability)
"""An access point takes no presigned POST."""


def open_adapter(context: AdapterContext) -> ObjectStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    location = Location(read_config(context.config), context.scope)
    return S3ObjectStore(location)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no S3 route can have. No call out."""
    read_config(config)


class S3ObjectStore:
    """The port on S3. Conditions are S3's own; what is there is looked at where they are not."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._scope = location.scope
        self._accesses = [
            Access(config, self._scope) for config in (location.config, *location.config.replicas)
        ]
        capabilities = set(CAPABILITIES)
        if location.config.is_access_point:
            capabilities.discard(Capability.PRESIGN_POST)
        self._capabilities = frozenset(capabilities)
        self._expectation = object_fence.Expectation()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._capabilities

    def put(self, command: PutObject, call: Call) -> PutResult:
        """One request up to 8 MiB, a multipart upload beyond; a 412 is final, a 409 temporary."""
        with s3_errors(self._scope, Deadline(call)):
            sha256 = command.payload.sha256
            target = Target(
                self._config,
                self._location.full_key(command.key),
                command.content_type,
                pack(command.metadata, call, sha256),
            )
            before = self._measured(target, call)
            written = object_fence.write(
                S3Slot(
                    self._engine(),
                    target,
                    call,
                    command.payload,
                    self._location.tombstone_key(command.key),
                ),
                call,
                command.condition,
                self._expectation,
                fenced=self._fenced(call),
            )
            if before is not None and not written.superseded:
                call.grew(1 - before[0], command.payload.size - before[1])
            return PutResult(
                key=command.key,
                size=command.payload.size,
                etag=written.etag,
                sha256=sha256,
                uri=self._location.uri_of(target.full_key),
                superseded=written.superseded,
            )

    def get(self, command: GetObject, call: Call) -> ObjectStream:
        full_key = self._location.full_key(command.key)

        def open_at(first: int | None, last: int | None) -> ObjectStream:
            opened, region = replica.read(
                self._scope, self._accesses, call, lambda engine: engine.get(full_key, first, last)
            )
            info = opened.there.info(command.key, region)
            return ObjectStream(info, opened.first, opened.size, opened.body)

        return open_range(open_at, command.first, command.last)

    def head(self, command: HeadObject, call: Call) -> ObjectInfo:
        full_key = self._location.full_key(command.key)
        there, region = replica.read(
            self._scope, self._accesses, call, lambda engine: engine.look(full_key, sure=True)
        )
        with s3_errors(self._scope):
            if there is None:
                raise NotFound("there is no such object", next_step="check the key")
            return there.info(command.key, region)

    def delete(self, command: DeleteObject, call: Call) -> DeleteResult:
        with s3_errors(self._scope, Deadline(call)):
            target = Target(self._config, self._location.full_key(command.key), "", {})
            if command.if_match is not None:
                quoted(command.if_match)
            before = self._measured(target, call)
            slot = S3Slot(
                self._engine(),
                target,
                call,
                tombstone_key=self._location.tombstone_key(command.key),
            )
            superseded = object_fence.remove(
                slot, call, command.if_match, fenced=self._fenced(call)
            )
            if before is not None and not superseded:
                call.grew(-before[0], -before[1])
            return DeleteResult(key=command.key, superseded=superseded)

    def list(self, command: ListObjects, call: Call) -> ListResult:
        with s3_errors(self._scope, Deadline(call)):
            return list_page(self._engine().client, self._location, command)

    def presign_post(self, command: PresignPost, call: Call) -> PresignedPost:
        with s3_errors(self._scope, Deadline(call)):
            return presign.presign_post(self._engine().client, self._location, command)

    def presign_put(self, command: PresignPut, call: Call) -> PresignedPut:
        with s3_errors(self._scope, Deadline(call)):
            return presign.presign_put(self._engine().client, self._location, command)

    def presign_get(self, command: PresignGet, call: Call) -> PresignedGet:
        with s3_errors(self._scope, Deadline(call)):
            return presign.presign_get(self._engine().client, self._location, command)

    def uri(self, command: ObjectUri, call: Call) -> UriResult:
        with s3_errors(self._scope):
            return UriResult(uri=self._location.uri(command.key))

    def register(self, command: RegisterObject, call: Call) -> AssetRecord:
        with s3_errors(self._scope, Deadline(call)):
            return asset.register(
                self._engine(), self._location, command, call, fenced=self._fenced(call)
            )

    def check_fences(self, key: str, call: Call) -> None:
        with s3_errors(self._scope, Deadline(call)):
            content = InlinePayload(data=b"fences")
            metadata = pack({}, call, content.sha256)
            full_key = self._location.full_key(key)
            target = Target(self._config, full_key, DEFAULT_CONTENT_TYPE, metadata)
            object_probe.check_fences(
                S3Slot(self._engine(), target, call, content),
                S3Slot(self._engine(), target, ExpiredCall(**vars(call)), content),
                _meaning,
                accepted=self._config.weaker_fences == "accept",
            )

    def close(self) -> None:
        """Nothing to give back: the clients belong to the process."""

    @property
    def _config(self) -> S3Config:
        return self._location.config

    def _engine(self) -> Engine:
        return self._accesses[0].engine()

    def _measured(self, target: Target, call: Call) -> tuple[int, int] | None:
        """Objects and bytes under the key now, asked only if it matters: S3 does not tell them
        with a write. A takeover may find its own effect, so it leaves the count alone."""
        if not call.measured or call.takeover:
            return None
        there = self._engine().look(target.full_key, sure=False)
        return (1, there.size) if there else (0, 0)

    def _fenced(self, call: Call) -> bool:
        return call.takeover or self._config.fenced_writes


def _meaning(error: Exception) -> Meaning | None:
    if not isinstance(error, ClientError):
        return None
    return {403: Meaning.DENIED, 501: Meaning.UNKNOWN_REQUEST}.get(status_of(error))
