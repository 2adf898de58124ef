"""Writes and deletes that keep their condition, and never undo something newer.

`fenced` means: look first. What the command itself left there is its result; what a newer
command left stays; everything else is replaced only as it was seen (`If-Match` on its ETag, which
Azure changes with every write). A deleted object leaves no `seq` behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from adapters.azure_blob.blob import BLOCK_BYTES, Draft, Match, if_absent, if_match, look
from adapters.azure_blob.blob import write as write_blob
from adapters.azure_blob.failure import code_of, condition_failed
from adapters.azure_blob.failure_code import MISSING_CONTAINER
from adapters.azure_blob.lease import leased
from adapters.object_condition import demand
from adapters.port import Call
from commands.error import Unavailable
from commands.object_store import Condition

LOOKS = 4


@dataclass(frozen=True)
class Written:
    """How a write ended: `repeated` if an earlier attempt of the same command had done it."""

    etag: str
    repeated: bool = False


def write(
    blob: BlobClient, draft: Draft, call: Call, condition: Condition, *, fenced: bool
) -> Written:
    """Store the draft if `condition` holds. Raises AlreadyExists and PreconditionFailed.

    A refused condition is looked into once more: an attempt whose answer was lost would
    otherwise be refused by its own object.
    """
    conditional = condition.if_absent or condition.if_match is not None
    # For large content the look is cheap, and spares an upload that could not succeed.
    looking = fenced or (conditional and draft.content.size > BLOCK_BYTES)
    for _ in range(LOOKS):
        match = _match(condition)
        if looking:
            there = look(blob)
            if there and there.op_id == call.mark:
                return Written(there.etag, repeated=True)
            if fenced:
                # A first attempt with a condition has its answer from that alone: it may name
                # the newer one's own ETag, and a success without effect would be a lost step.
                if there and there.seq > call.seq and (call.takeover or not conditional):
                    # Its own ETag was never seen, and that of the newer one is not its to give.
                    return Written(f"superseded-{call.seq}")
                match = if_match(there.etag) if there else if_absent()
            demand(condition, there.etag if there else None)
        try:
            return Written(write_blob(blob, draft, call, match))
        except HttpResponseError as error:
            if not (match and condition_failed(error)):
                raise
            looking = True
    raise _restless()


def remove(blob: BlobClient, call: Call, expected: str | None, *, fenced: bool) -> None:
    """Delete what is there. Raises PreconditionFailed (`expected` is its ETag).

    On a takeover nothing there counts as done: an earlier attempt may have removed it.
    """
    if not fenced and expected is None:
        _delete(blob, call, {})
        return
    condition = Condition(if_match=expected)
    for _ in range(LOOKS):
        there = look(blob)
        if there is None and call.takeover:
            return
        newer = there is not None and there.seq > call.seq
        if fenced and newer and (call.takeover or expected is None):
            return
        demand(condition, there.etag if there else None)
        if there is None:
            return
        try:
            _delete(blob, call, if_match(there.etag))
        except HttpResponseError as error:
            if not condition_failed(error):
                raise
        else:
            return
    raise _restless()


def _delete(blob: BlobClient, call: Call, match: Match) -> None:
    try:
        with leased(call) as bounds:
            blob.delete_blob(delete_snapshots="include", **bounds, **match)
    except ResourceNotFoundError as error:
        if code_of(error) in MISSING_CONTAINER:
            raise


def _match(condition: Condition) -> Match:
    if condition.if_absent:
        return if_absent()
    return {} if condition.if_match is None else if_match(condition.if_match)


def _restless() -> Unavailable:
    return Unavailable(
        f"the object changed under each of {LOOKS} looks", next_step="it is tried again"
    )
