"""One blob, as `object_fence` asks for it. Its ETag changes with every write."""

from __future__ import annotations

from dataclasses import dataclass

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from adapters.azure_blob.blob import BLOCK_BYTES, Draft, Match, if_absent, if_match, look, write
from adapters.azure_blob.failure import code_of, condition_failed
from adapters.azure_blob.failure_code import MISSING_CONTAINER
from adapters.azure_blob.lease import leased
from adapters.azure_blob.metadata import Present, pack_tombstone
from adapters.object_fence import Changed, Tombstone
from adapters.port import Call
from commands.object_store import DEFAULT_CONTENT_TYPE, Condition
from commands.payload import InlinePayload

NOTHING = Draft(InlinePayload(data=b""), DEFAULT_CONTENT_TYPE, {})


@dataclass(frozen=True)
class AzureSlot:
    """A Slot. `grave` is the blob of its tombstone; None where nothing is ever deleted."""

    blob: BlobClient
    call: Call
    draft: Draft = NOTHING
    grave: BlobClient | None = None

    @property
    def large(self) -> bool:
        return self.draft.content.size > BLOCK_BYTES

    def look(self, *, sure: bool) -> Present | None:  # noqa: ARG002 - Azure always tells
        return look(self.blob)

    def write(self, condition: Condition) -> str:
        match = _match(condition)
        try:
            return write(self.blob, self.draft, self.call, match)
        except HttpResponseError as error:
            if match and condition_failed(error):
                raise Changed from None
            raise

    def remove(self, etag: str | None) -> None:
        match = if_match(etag) if etag is not None else {}
        try:
            with leased(self.call, self.blob) as bounds:
                self.blob.delete_blob(delete_snapshots="include", **bounds, **match)
        except ResourceNotFoundError as error:
            if code_of(error) in MISSING_CONTAINER:
                raise
        except HttpResponseError as error:
            if match and condition_failed(error):
                raise Changed from None
            raise

    def tombstone(self) -> Tombstone | None:
        there = look(self.grave) if self.grave is not None else None
        return there.tombstone if there else None

    def bury(self, tombstone: Tombstone) -> None:
        if self.grave is not None:
            draft = Draft(NOTHING.content, NOTHING.content_type, pack_tombstone(tombstone))
            write(self.grave, draft, self.call, {})


def _match(condition: Condition) -> Match:
    if condition.if_absent:
        return if_absent()
    return {} if condition.if_match is None else if_match(condition.if_match)
