"""One key of a bucket, as `object_fence` asks for it.

What S3 cannot see: its ETag is a digest, so content that is replaced by equal content between a
look and a write counts as unchanged. A request that ends with its lease leaves no time for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import ClientError

from adapters.aws.failure import code_of
from adapters.object_fence import Changed, Tombstone
from adapters.port import Call
from adapters.s3.engine import Engine, Target
from adapters.s3.etag import quoted
from adapters.s3.failure import condition_failed
from adapters.s3.metadata import Present, pack_tombstone
from adapters.s3.upload import PART_BYTES, Content, upload
from commands.object_store import DEFAULT_CONTENT_TYPE, Condition
from commands.payload import InlinePayload

NOTHING = InlinePayload(data=b"")


@dataclass(frozen=True)
class S3Slot:
    """A Slot. `tombstone_key` is None where nothing is ever deleted."""

    engine: Engine
    target: Target
    call: Call
    content: Content = NOTHING
    tombstone_key: str | None = None

    @property
    def large(self) -> bool:
        return self.content.size > PART_BYTES

    def look(self, *, sure: bool) -> Present | None:
        return self.engine.look(self.target.full_key, sure=sure)

    def write(self, condition: Condition) -> str:
        headers = _headers(condition)
        try:
            return upload(self.engine, self.target, self.content, self.call, headers)
        except ClientError as error:
            if headers and condition_failed(error):
                raise Changed from None
            # Finished by an attempt whose answer was lost.
            if code_of(error) == "NoSuchUpload" and self._is_ours():
                raise Changed from None
            raise

    def remove(self, etag: str | None) -> None:
        """S3 takes `If-Match` on DeleteObject since 2025; some compatible services ignore it, and
        for those a condition is as good as the look before."""
        if_match = quoted(etag) if etag is not None else None
        try:
            self.engine.delete(self.target.full_key, self.call, if_match)
        except ClientError as error:
            # What was seen is gone; perhaps by our own request, sent twice.
            if code_of(error) == "NoSuchKey":
                return
            if condition_failed(error):
                raise Changed from None
            raise

    def tombstone(self) -> Tombstone | None:
        if self.tombstone_key is None:
            return None
        there = self.engine.look(self.tombstone_key, sure=False)
        return there.tombstone if there else None

    def bury(self, tombstone: Tombstone) -> None:
        if self.tombstone_key is None:
            return
        beside = pack_tombstone(tombstone)
        target = Target(self.target.config, self.tombstone_key, DEFAULT_CONTENT_TYPE, beside)
        self.engine.put(target, b"", self.call, {})

    def _is_ours(self) -> bool:
        there = self.look(sure=False)
        return there is not None and there.mark == self.call.mark


def _headers(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    return {} if condition.if_match is None else {"IfMatch": quoted(condition.if_match)}
