"""Object driver for Azure Blob Storage. A blob's ETag changes with every write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobPrefix

from signalbox.adapters.azure_blob import blob as blobs
from signalbox.adapters.azure_blob import presign
from signalbox.adapters.azure_blob.blob import BLOCK_BYTES, if_absent, if_match
from signalbox.adapters.azure_blob.body import AzureBody
from signalbox.adapters.azure_blob.client import client_for
from signalbox.adapters.azure_blob.config import read_config
from signalbox.adapters.azure_blob.expiry import bounded
from signalbox.adapters.azure_blob.failure import SERVICE, code_of, condition_failed, status_of
from signalbox.adapters.azure_blob.failure_code import MISSING_CONTAINER
from signalbox.adapters.azure_blob.location import Location
from signalbox.adapters.azure_blob.name import to_key, to_prefix
from signalbox.adapters.capability import Capability
from signalbox.adapters.deadline import REQUEST_SECONDS
from signalbox.adapters.object_driver import (
    Area,
    Changed,
    Draft,
    Entry,
    ObjectTraits,
    Opened,
    Page,
    Refusal,
    StoredObject,
    TokenFault,
)
from signalbox.adapters.object_range import PastEnd
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.response_check import checked_size, unusable
from signalbox.commands.object_store import Condition, PresignedGet, PresignedPost, PresignedPut

_NO_FORMS = {
    Capability.PRESIGN_POST: ("Azure takes no form posts", "use presign_put for uploads"),
}
_NO_SIGNATURES = dict.fromkeys(
    (Capability.PRESIGN_GET, Capability.PRESIGN_PUT),
    (
        "a SAS cannot sign another SAS",
        "name account_key_file in the route, or use the worker's own identity",
    ),
)


def open_driver(context: AdapterContext) -> AzureObjectDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return AzureObjectDriver(Location(read_config(context.config), context.scope))


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config)


class AzureObjectDriver:
    """An ObjectDriver on block blobs, with Azure's own conditions."""

    service = SERVICE

    def __init__(self, location: Location) -> None:
        config = location.config
        self.scope = location.scope
        self.config = config
        through_sas = config.sas_file is not None
        self.traits = ObjectTraits(
            unsupported=_NO_FORMS | _NO_SIGNATURES if through_sas else _NO_FORMS,
            fenced_writes=config.fenced_writes,
            weaker_fences=config.weaker_fences == "accept",
            requests_expire=not through_sas,
            # Uploads to presigned URLs can set attributes.
            attributes_are_ours=False,
            small_bytes=BLOCK_BYTES,
        )
        self._location = location

    def name(self, key: str, area: Area = Area.RAW) -> str:
        return self._location.name(key, area)

    def uri(self, name: str) -> str:
        return self._location.uri(name)

    def check_etag(self, etag: str) -> None:
        if_match(etag)

    # Azure always reports a missing container, and has no replicas.
    def look(self, name: str, *, sure: bool, replicas: bool = False) -> StoredObject | None:  # noqa: ARG002
        return blobs.look(self._blob(name))

    def open(
        self,
        name: str,
        first: int | None = None,
        last: int | None = None,
        *,
        etag: str | None = None,
        replicas: bool = False,  # noqa: ARG002 - Azure has none
    ) -> Opened:
        begin = first or 0
        # The stored bytes, even if the uploader declared them compressed.
        asked: dict[str, Any] = {"decompress": False}
        if first is not None or last is not None:
            asked["offset"] = begin
            if last is not None:
                asked["length"] = last - begin + 1
        if etag is not None:
            asked |= if_match(etag)
        found = self._blob(name).download_blob(timeout=int(REQUEST_SECONDS), **asked)
        # The SDK's own text, as "bytes 5-9/20"; the transport has checked Azure's.
        whole = str(found.properties.content_range).rpartition("/")[2]
        there = blobs.present(found.properties, whole)
        if begin and begin >= there.size:
            raise PastEnd("the range begins past the end", next_step="ask for less")
        size = checked_size("Azure", found.size)
        end = there.size if last is None else min(there.size, last + 1)
        if size != end - begin:
            raise unusable("Azure", "it is of another range than was asked for")
        return Opened(there, begin, size, AzureBody(found))

    def write(self, name: str, draft: Draft, condition: Condition, limit: TimeLimit) -> str:
        """Write with one request up to 8 MiB, and in blocks beyond."""
        match = if_absent() if condition.if_absent else {}
        if condition.if_match is not None:
            match = if_match(condition.if_match)
        try:
            return blobs.write(self._blob(name), draft, limit, match)
        except HttpResponseError as error:
            if match and condition_failed(error):
                raise Changed from None
            raise

    def remove(self, name: str, etag: str | None, limit: TimeLimit) -> None:
        blob, match = self._blob(name), if_match(etag) if etag is not None else {}
        try:
            with bounded(limit, blob) as bounds:
                blob.delete_blob(delete_snapshots="include", **bounds, **match)
        except ResourceNotFoundError as error:
            if code_of(error) in MISSING_CONTAINER:
                raise
        except HttpResponseError as error:
            if match and condition_failed(error):
                raise Changed from None
            raise

    def prefix(self, prefix: str) -> str:
        return self._location.prefix() + to_prefix(prefix)

    def key(self, name: str) -> str:
        return to_key(name.removeprefix(self._location.prefix()))

    def list(self, prefix: str, delimiter: str | None, limit: int, token: str | None) -> Page:
        container = client_for(self.config).get_container_client(self.config.container)
        listing: dict[str, Any] = {
            "name_starts_with": prefix,
            "results_per_page": limit,
            "timeout": int(REQUEST_SECONDS),
        }
        found: Any = (
            container.walk_blobs(delimiter=delimiter, **listing)
            if delimiter
            else container.list_blobs(**listing)
        )
        pages = found.by_page(continuation_token=token)
        entries = list(next(pages, []))
        return Page(
            entries=[
                Entry(entry.name, entry.size, entry.etag, entry.last_modified)
                for entry in entries
                if not isinstance(entry, BlobPrefix)
            ],
            folded=[entry.name for entry in entries if isinstance(entry, BlobPrefix)],
            token=pages.continuation_token,
        )

    def token_fault(self, error: Exception) -> TokenFault | None:
        if not isinstance(error, HttpResponseError):
            return None
        status = status_of(error)
        # 503 asks to slow down.
        crashed = TokenFault.CRASHED if status in (500, 501, 502) else None
        return TokenFault.REFUSED if status == 400 else crashed

    def sign_post(
        self, name: str, content_type: str, sizes: tuple[int, int], expires: timedelta
    ) -> PresignedPost:
        raise NotImplementedError  # Azure has no forms; the store checks the traits first

    def sign_put(self, name: str, content_type: str, expires: timedelta) -> PresignedPut:
        return presign.sign_put(self._location, name, content_type, expires)

    def sign_get(self, name: str, expires: timedelta) -> PresignedGet:
        return presign.sign_get(self._location, name, expires)

    def refusal(self, error: Exception) -> Refusal | None:  # noqa: ARG002 - Changed says it all
        return None

    def collect_orphans(self, older_than: timedelta) -> int:  # noqa: ARG002 - lifecycle rules do
        return 0

    def close(self) -> None:
        """Do nothing: the clients belong to the process."""

    def _blob(self, name: str) -> BlobClient:
        # Looked up each time, so that a forked child never uses its parent's client.
        return client_for(self.config).get_blob_client(self.config.container, name)
