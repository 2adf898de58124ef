"""Objects in a container of Azure Blob Storage."""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.storage.blob import BlobClient

from adapters import object_fence, object_probe
from adapters.answer import checked_size, unreadable
from adapters.azure_blob import asset, presign
from adapters.azure_blob.blob import Draft, if_match, look, present
from adapters.azure_blob.body import AzureBody
from adapters.azure_blob.client import client_for
from adapters.azure_blob.config import BACKEND_TYPE, read_config
from adapters.azure_blob.failure import azure_errors
from adapters.azure_blob.listing import list_page
from adapters.azure_blob.location import Area, Location
from adapters.azure_blob.metadata import pack
from adapters.azure_blob.slot import AzureSlot
from adapters.deadline import REQUEST_SECONDS, Deadline
from adapters.object_range import PastEnd, open_range
from adapters.object_store import ObjectStore, ObjectStream
from adapters.port import AdapterContext, Call, Capability
from adapters.service_clock import ExpiredCall
from commands.error import NotFound, Unsupported
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

CAPABILITIES = frozenset(Capability) - {Capability.PRESIGN_POST}


def open_adapter(context: AdapterContext) -> ObjectStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return AzureObjectStore(Location(read_config(context.config), context.scope))


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_config(config)


class AzureObjectStore:
    """The port on block blobs. Conditions are Azure's own."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._config = location.config
        self._scope = location.scope
        self._expectation = object_fence.Expectation()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Whoever writes through a SAS presigns nothing: a SAS cannot sign another."""
        if self._config.sas_file is None:
            return CAPABILITIES
        return CAPABILITIES - {Capability.PRESIGN_GET, Capability.PRESIGN_PUT}

    def put(self, command: PutObject, call: Call) -> PutResult:
        """One request up to 8 MiB, staged blocks beyond."""
        with azure_errors(self._scope, Deadline(call)):
            blob, sha256 = self._blob(command.key), command.payload.sha256
            metadata = pack(command.metadata, call, sha256)
            draft = Draft(command.payload, command.content_type, metadata)
            before = self._measured(blob, call)
            written = object_fence.write(
                AzureSlot(blob, call, draft, self._blob(command.key, "tombstones")),
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
                uri=self._location.uri(command.key),
                superseded=written.superseded,
            )

    def get(self, command: GetObject, call: Call) -> ObjectStream:
        def open_at(first: int | None, last: int | None) -> ObjectStream:
            with azure_errors(self._scope, Deadline(call)):
                return self._open(command.key, first, last)

        return open_range(open_at, command.first, command.last)

    def head(self, command: HeadObject, call: Call) -> ObjectInfo:
        with azure_errors(self._scope, Deadline(call)):
            there = look(self._blob(command.key))
            if there is None:
                raise NotFound("there is no such object", next_step="check the key")
            return there.info(command.key)

    def delete(self, command: DeleteObject, call: Call) -> DeleteResult:
        with azure_errors(self._scope, Deadline(call)):
            blob = self._blob(command.key)
            before = self._measured(blob, call)
            if command.if_match is not None:
                if_match(command.if_match)
            slot = AzureSlot(blob, call, grave=self._blob(command.key, "tombstones"))
            superseded = object_fence.remove(
                slot, call, command.if_match, fenced=self._fenced(call)
            )
            if before is not None and not superseded:
                call.grew(-before[0], -before[1])
            return DeleteResult(key=command.key, superseded=superseded)

    def list(self, command: ListObjects, call: Call) -> ListResult:
        with azure_errors(self._scope, Deadline(call)):
            container = client_for(self._config).get_container_client(self._config.container)
            return list_page(container, self._location, command)

    def presign_post(self, command: PresignPost, call: Call) -> PresignedPost:
        raise Unsupported(
            "Azure takes no form posts",
            kind=self._scope.kind,
            tenant_id=self._scope.tenant_id,
            env=self._scope.env,
            backend_type=BACKEND_TYPE,
            next_step="use presign_put for uploads",
        )

    def presign_put(self, command: PresignPut, call: Call) -> PresignedPut:
        with azure_errors(self._scope, Deadline(call)):
            return presign.presign_put(self._location, command)

    def presign_get(self, command: PresignGet, call: Call) -> PresignedGet:
        with azure_errors(self._scope, Deadline(call)):
            return presign.presign_get(self._location, command)

    def uri(self, command: ObjectUri, call: Call) -> UriResult:
        with azure_errors(self._scope):
            return UriResult(uri=self._location.uri(command.key))

    def register(self, command: RegisterObject, call: Call) -> AssetRecord:
        with azure_errors(self._scope, Deadline(call)):
            return asset.register(
                self._blob(command.key),
                self._blob(command.key, "assets"),
                self._location,
                command,
                call,
                fenced=self._fenced(call),
            )

    def check_fences(self, key: str, call: Call) -> None:
        with azure_errors(self._scope, Deadline(call)):
            blob, content = self._blob(key), InlinePayload(data=b"fences")
            draft = Draft(content, DEFAULT_CONTENT_TYPE, pack({}, call, content.sha256))
            late = AzureSlot(blob, ExpiredCall(**vars(call)), draft)
            object_probe.check_fences(
                AzureSlot(blob, call, draft),
                late if self._config.sas_file is None else None,
                lambda _: None,
                accepted=self._config.weaker_fences == "accept",
            )

    def close(self) -> None:
        """Nothing to give back: the clients belong to the process."""

    def _open(self, key: str, first: int | None, last: int | None) -> ObjectStream:
        begin = first or 0
        # Stored bytes, also where an uploader said that they are compressed.
        span: dict[str, Any] = {"decompress": False}
        if first is not None or last is not None:
            span["offset"] = begin
            if last is not None:
                span["length"] = last - begin + 1
        found = self._blob(key).download_blob(timeout=int(REQUEST_SECONDS), **span)
        # The SDK's own words, as "bytes 5-9/20"; the transport has seen those of Azure.
        whole = str(found.properties.content_range).rpartition("/")[2]
        there = present(found.properties, whole)
        if begin and begin >= there.size:
            raise PastEnd("the range begins past the end", next_step="ask for less")
        size = checked_size("Azure", found.size)
        end = there.size if last is None else min(there.size, last + 1)
        if size != end - begin:
            raise unreadable("Azure", "it is of another range than was asked for")
        return ObjectStream(there.info(key), begin, size, AzureBody(found, self._scope))

    def _blob(self, key: str, area: Area = "raw") -> BlobClient:
        # Asked anew each time, so that a forked child never uses its parent's.
        name = self._location.name(key, area)
        return client_for(self._config).get_blob_client(self._config.container, name)

    def _measured(self, blob: BlobClient, call: Call) -> tuple[int, int] | None:
        """Objects and bytes under the key now, asked only if it matters. A takeover may find its
        own effect, so it leaves the count alone."""
        if not call.measured or call.takeover:
            return None
        there = look(blob)
        return (1, there.size) if there else (0, 0)

    def _fenced(self, call: Call) -> bool:
        return call.takeover or self._config.fenced_writes
