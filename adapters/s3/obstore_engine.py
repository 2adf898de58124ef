"""Small requests by obstore; what it may not send, and what fails with it, by boto3.

obstore follows redirects, and nothing tells whether it has: an answer counts only if it shows that
it comes from where it was asked. That of a put is the MD5 of the content; others carry the mark of
an object that Signalbox wrote. One of a delete could show nothing, so that obstore is not asked.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, GenericError

from adapters.aws.failure import LATER
from adapters.port import Call
from adapters.s3.body import ContentBody, StreamBody
from adapters.s3.boto3_engine import Boto3Engine
from adapters.s3.engine import Headers, Opened, Target
from adapters.s3.etag import bare
from adapters.s3.failure_code import DOWN, STATUSES
from adapters.s3.metadata import OP_ID, Present
from adapters.s3.obstore_rule import SMALL_BYTES, key_fits, put_fits
from adapters.s3.obstore_store import KeptStore
from commands.error import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore import GetOptions, GetResult, PutMode

FAILED = (BaseError, OSError, ValueError, NotImplementedError)
_STATUS = re.compile(r"non-2xx status code: (5\d\d|429)\b")
_TIMED_OUT = "kind: Timeout"


class ObstoreEngine:
    """An Engine; `obstore_rule` says what it leaves to boto3."""

    def __init__(self, kept: KeptStore, boto3: Boto3Engine) -> None:
        self._kept = kept
        self._store = kept.store
        self._boto3 = boto3

    @property
    def client(self) -> S3Client:
        return self._boto3.client

    def put(self, target: Target, content: bytes, call: Call, condition: Headers) -> str:
        if self._kept.etags_are_digests and put_fits(target, content):
            attributes = {"Content-Type": target.content_type} | target.metadata
            call.remaining()
            try:
                answer = obstore.put(
                    self._store,
                    target.full_key,
                    content,
                    attributes=attributes,
                    mode=_mode(condition),
                    use_multipart=False,
                )
            except FAILED as error:
                _raise_if_down(error)
            else:
                etag = bare(answer["e_tag"] or "")
                if etag == hashlib.md5(content, usedforsecurity=False).hexdigest():
                    return etag
                # With KMS as the bucket's default, or a service with ETags of its own.
                self._kept.etags_are_digests = False
                if self._is_there(target, etag):
                    return etag
        return self._boto3.put(target, content, call, condition)

    def get(self, full_key: str, first: int | None, last: int | None) -> Opened:
        if key_fits(full_key):
            try:
                result = obstore.get(self._store, full_key, options=_span(first, last))
                if opened := self._open(result, whole=first is None and last is None):
                    return opened
            except FAILED as error:
                _raise_if_down(error)
        return self._boto3.get(full_key, first, last)

    def look(self, full_key: str, *, sure: bool) -> Present | None:
        if key_fits(full_key):
            try:
                there = _present(obstore.get(self._store, full_key, options={"head": True}))
                if there.op_id is not None:
                    return there
            except FileNotFoundError:
                if not sure:
                    return None
            except FAILED as error:
                _raise_if_down(error)
        return self._boto3.look(full_key, sure=sure)

    def delete(self, full_key: str, call: Call, if_match: str | None = None) -> None:
        self._boto3.delete(full_key, call, if_match)

    def _is_there(self, target: Target, etag: str) -> bool:
        there = self._boto3.look(target.full_key, sure=False)
        return there is not None and (there.etag, there.op_id) == (etag, target.metadata[OP_ID])

    def _open(self, result: GetResult, *, whole: bool) -> Opened | None:
        """The answer, unless boto3 has to vouch for it."""
        there = _present(result)
        if there.sha256 is None:
            return None
        first, end = result.range
        size = end - first
        if size <= SMALL_BYTES:
            content = bytes(result.bytes())
            if whole and hashlib.sha256(content).hexdigest() != there.sha256:
                return None
            return Opened(there, first, size, ContentBody(content))
        if whole and self._boto3.checks_content:
            return None
        return Opened(there, first, size, StreamBody(result.stream(SMALL_BYTES), self._boto3.scope))


def _present(result: GetResult) -> Present:
    meta, attributes = result.meta, result.attributes
    return Present(
        size=meta["size"],
        etag=bare(meta["e_tag"] or ""),
        modified=meta["last_modified"],
        content_type=attributes.pop("Content-Type", ""),
        # Names of metadata come in lower case, those of standard headers do not.
        metadata={name: value for name, value in attributes.items() if name == name.lower()},
    )


def _mode(condition: Headers) -> PutMode:
    if "IfNoneMatch" in condition:
        return "create"
    if "IfMatch" in condition:
        return {"e_tag": condition["IfMatch"]}
    return "overwrite"


def _span(first: int | None, last: int | None) -> GetOptions | None:
    if last is not None:
        return {"range": (first or 0, last + 1)}
    return None if first is None else {"range": {"offset": first}}


def _raise_if_down(error: Exception) -> None:
    """Raise what is not to be asked again at once: an overloaded service, and a silent one.

    The text of the error is only looked at: it holds addresses and what the service said.
    """
    # Others than this one may hold the key itself, which could say anything.
    if not isinstance(error, GenericError):
        return
    text = str(error)
    if match := _STATUS.search(text):
        status = int(match[1])
        if status == 501:
            return
        kind, what, next_step = STATUSES.get(status, DOWN)
        raise kind(f"{what} (status {status})", next_step=next_step) from None
    if _TIMED_OUT in text:
        raise Unavailable("no answer from S3 (timed out)", next_step=LATER) from None
