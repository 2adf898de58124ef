"""Writes and deletes that keep their condition, and never undo something newer.

`fenced` means: look first. What the command itself left there is its result; what a newer
command left stays; everything else is replaced only as it was seen (`If-Match` on its ETag).

What S3 cannot see: its ETag is a digest, so content that is replaced by equal content between
the look and the write counts as unchanged. And a deleted object leaves no `seq` behind.
"""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import ClientError

from adapters.aws.failure import code_of
from adapters.object_condition import demand
from adapters.port import Call
from adapters.s3.engine import Engine, Target
from adapters.s3.etag import quoted
from adapters.s3.failure import condition_failed
from adapters.s3.upload import PART_BYTES, Content, upload
from commands.error import Unavailable
from commands.object_store import Condition

LOOKS = 4


@dataclass(frozen=True)
class Written:
    """How a write ended: `repeated` if an earlier attempt of the same command had done it."""

    etag: str
    repeated: bool = False
    superseded: bool = False


def write(
    engine: Engine,
    target: Target,
    content: Content,
    call: Call,
    condition: Condition,
    *,
    fenced: bool,
) -> Written:
    """Store `content` if `condition` holds. Raises AlreadyExists and PreconditionFailed.

    A refused condition is looked into once more: an attempt whose answer was lost (botocore's
    second, or that of an earlier worker) would otherwise be refused by its own object.
    """
    conditional = condition.if_absent or condition.if_match is not None
    # For large content the look is cheap, and spares an upload that could not succeed.
    looking = fenced or (conditional and content.size > PART_BYTES)
    for _ in range(LOOKS):
        headers = _headers(condition)
        if looking:
            there = engine.look(target.full_key, sure=False)
            if there and there.op_id == call.mark:
                return Written(there.etag, repeated=True)
            if fenced:
                # A first attempt with a condition has its answer from that alone: it may name
                # the newer one's own ETag, and a success without effect would be a lost step.
                if there and there.seq > call.seq and (call.takeover or not conditional):
                    # Its own ETag was never seen, and that of the newer one is not its to give.
                    return Written(f"superseded-{call.seq}", superseded=True)
                headers = {"IfMatch": quoted(there.etag)} if there else {"IfNoneMatch": "*"}
            demand(condition, there.etag if there else None)
        try:
            return Written(upload(engine, target, content, call, headers))
        except ClientError as error:
            lost = code_of(error) == "NoSuchUpload"
            if not lost and not (headers and condition_failed(error)):
                raise
            if lost and not _is_ours(engine, target, call):
                raise
            looking = True
    raise _restless(target.full_key)


def remove(
    engine: Engine,
    target: Target,
    call: Call,
    if_match: str | None,
    *,
    fenced: bool,
) -> None:
    """Delete what is under the key. Raises PreconditionFailed (`if_match`).

    S3 takes `If-Match` on DeleteObject since 2025; some compatible services ignore it, so the
    ETag is compared here first, and for those the condition is only as good as that.
    On a takeover nothing there counts as done: an earlier attempt may have removed it.
    """
    if not fenced and if_match is None:
        engine.delete(target.full_key, call)
        return
    if if_match is not None:
        quoted(if_match)
    for _ in range(LOOKS):
        there = engine.look(target.full_key, sure=True)
        if there is None and call.takeover:
            return
        newer = there is not None and there.seq > call.seq
        if fenced and newer and (call.takeover or if_match is None):
            return
        demand(Condition(if_match=if_match), there.etag if there else None)
        if there is None:
            return
        try:
            engine.delete(target.full_key, call, if_match=quoted(there.etag))
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                # What was seen is gone; perhaps by our own request, sent twice by botocore.
                return
            if not condition_failed(error):
                raise
        else:
            return
    raise _restless(target.full_key)


def _headers(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    return {} if condition.if_match is None else {"IfMatch": quoted(condition.if_match)}


def _is_ours(engine: Engine, target: Target, call: Call) -> bool:
    there = engine.look(target.full_key, sure=False)
    return there is not None and there.op_id == call.mark


def _restless(full_key: str) -> Unavailable:
    return Unavailable(
        f"{full_key[:80]!r} changed under each of {LOOKS} looks", next_step="it is tried again"
    )
