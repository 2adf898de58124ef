"""The engine that sends requests on single objects over our own connections.

`wire_rule` decides which requests it sends. Each is signed in its query. A write expires before its
time limit by S3's own clock: S3 refuses it if a suspended worker sends it later.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from signalbox.adapters.aws.query_signature import Signer
from signalbox.adapters.deadline import Expired, current
from signalbox.adapters.http_date import http_date
from signalbox.adapters.object_attributes import SHA256
from signalbox.adapters.object_driver import Opened, StoredObject
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import checked_etag, checked_size, checked_span, unusable
from signalbox.adapters.s3.body import ContentBody, WireBody
from signalbox.adapters.s3.boto3_engine import Boto3Engine
from signalbox.adapters.s3.config import S3Config
from signalbox.adapters.s3.engine import Headers, Target
from signalbox.adapters.s3.expiry import GOOD
from signalbox.adapters.s3.metadata import split
from signalbox.adapters.s3.wire import Answer, Wire
from signalbox.adapters.service_clock import ServiceClock

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SMALL_BYTES = 1024 * 1024
"""Content up to this size is read completely before it is passed on."""
BEHIND_SECONDS, AHEAD_SECONDS = 900, 2700
"""How many seconds the clocks may differ, in each direction, before S3's time is known."""
_BESIDE = "x-amz-meta-"
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{0,500})</Message>")


class WireEngine:
    """An Engine over our own connections. `clock` is the service's."""

    def __init__(self, wire: Wire, signer: Signer, clock: ServiceClock, boto3: Boto3Engine) -> None:
        self._wire, self._signer, self._clock, self._boto3 = wire, signer, clock, boto3

    @property
    def client(self) -> S3Client:
        return self._boto3.client

    def bounded(self, limit: TimeLimit) -> AbstractContextManager[None]:
        return self._boto3.bounded(limit)

    def put(self, target: Target, content: bytes, limit: TimeLimit, condition: Headers) -> str:
        headers = {"content-type": target.content_type}
        headers |= {_BESIDE + name: value for name, value in target.metadata.items()}
        headers |= _conditions(condition) | _digests(target.config, content)
        answer = self._effect("PutObject", "PUT", target.full_key, headers, content, limit)
        if answer is None:
            return self._boto3.put(target, content, limit, condition)
        return checked_etag("S3", answer.headers.get("etag"))

    def delete(self, full_key: str, limit: TimeLimit, if_match: str | None = None) -> None:
        headers = {} if if_match is None else {"if-match": if_match}
        if self._effect("DeleteObject", "DELETE", full_key, headers, None, limit) is None:
            self._boto3.delete(full_key, limit, if_match)

    def look(self, full_key: str, *, sure: bool) -> StoredObject | None:
        try:
            answer = self._wire.send("HEAD", *self._read(full_key, "HEAD", {}))
        except OSError as error:
            _give_up(error)
            return self._boto3.look(full_key, sure=sure)
        self._clock.observe(answer.headers.get("date"))
        if answer.status == 404:
            if sure:
                self._boto3.demand_bucket()
            return None
        headers = _good(answer, "HeadObject").headers
        return _present(headers, checked_size("S3", headers.get("content-length")))

    def get(
        self, full_key: str, first: int | None, last: int | None, if_match: str | None = None
    ) -> Opened:
        wanted = {} if if_match is None else {"if-match": if_match}
        if first is not None or last is not None:
            wanted["range"] = f"bytes={first or 0}-{'' if last is None else last}"
        try:
            opened = self._wire.open("GET", *self._read(full_key, "GET", wanted))
        except OSError as error:
            _give_up(error)
            return self._boto3.get(full_key, first, last, if_match)
        try:
            if opened.status not in (200, 206):
                _good(Answer(opened.status, opened.headers, opened.read()), "GetObject")
            if (size := opened.size) is None:
                return self._boto3.get(full_key, first, last, if_match)
            content_range = opened.headers.get("content-range")
            start, size_of_all = checked_span(
                "S3", content_range, checked_size("S3", size), first, last
            )
            there = _present(opened.headers, size_of_all)
            whole = size == there.size
            if size > SMALL_BYTES and not (whole and self._boto3.checks_content):
                body = WireBody(opened, size)
                opened = None  # type: ignore[assignment]  # the body closes it
                return Opened(there, start, size, body)
            content = opened.read() if size <= SMALL_BYTES else b""
        except OSError as error:
            _give_up(error)
            return self._boto3.get(full_key, first, last, if_match)
        finally:
            if opened is not None:
                opened.close()
        if len(content) == size and (not whole or _vouched(there, content, self._boto3)):
            return Opened(there, start, size, ContentBody(content))
        # boto3 compares S3's own checksum.
        return self._boto3.get(full_key, first, last, if_match)

    def _effect(
        self,
        operation: str,
        method: str,
        full_key: str,
        headers: dict[str, str],
        content: bytes | None,
        limit: TimeLimit,
    ) -> Answer | None:
        """Send a write; return the response, None if there was none.

        Raises Expired and ClientError.
        """
        self._clock.learn(self._ask_time)
        at, expiry = self._clock.window(limit)
        target, headers = self._signed(method, full_key, headers, at=at, expiry=expiry)
        limit.remaining()
        try:
            answer = self._wire.send(method, target, headers, content)
        except OSError as error:
            _give_up(error)
            return None
        date = answer.headers.get("date")
        self._clock.observe(date)
        if answer.status == 403 and _after(date, expiry):
            raise Expired("S3 refused a request that came after its time limit")
        return _good(answer, operation)

    def _ask_time(self) -> None:
        # Unsigned: any response has a date.
        try:
            answer = self._wire.send("HEAD", "/", {"host": self._wire.host})
        except OSError:
            return
        self._clock.observe(answer.headers.get("date"))

    def _read(self, full_key: str, method: str, wanted: dict[str, str]) -> Any:
        # A late read does no harm, so it is rather valid for too long than refused.
        now = int(self._clock.now())
        at, expiry = now - BEHIND_SECONDS, now + AHEAD_SECONDS
        return self._signed(method, full_key, wanted, at=at, expiry=expiry)

    def _signed(
        self, method: str, full_key: str, headers: dict[str, str], *, at: int, expiry: int
    ) -> tuple[str, dict[str, str]]:
        """Return target and headers of a request."""
        config = self._boto3.config
        path = "/" + quote(full_key if config.style == "virtual" else f"{config.bucket}/{full_key}")
        headers = headers | {"host": self._wire.host}
        query = self._signer.sign(method, path, (), headers, at=at, expiry=expiry)
        return f"{path}?{query}", headers


def _conditions(condition: Headers) -> dict[str, str]:
    names = {"IfMatch": "if-match", "IfNoneMatch": "if-none-match"}
    return {names[name]: value for name, value in condition.items()}


def _digests(config: S3Config, content: bytes) -> dict[str, str]:
    """Return the header that lets S3 refuse a damaged body: a checksum that it keeps, or an MD5."""
    if config.checksums == "when_supported":
        digest = hashlib.sha256(content).digest()
        return {"x-amz-checksum-sha256": base64.b64encode(digest).decode("ascii")}
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"content-md5": base64.b64encode(digest).decode("ascii")}


def _present(headers: Mapping[str, str], size: int) -> StoredObject:
    try:
        modified = http_date(headers.get("last-modified", ""))
    except ValueError:
        raise unusable("S3", "it has no date") from None
    etag = checked_etag("S3", headers.get("etag"))
    beside = {
        name[len(_BESIDE) :]: value for name, value in headers.items() if name.startswith(_BESIDE)
    }
    return StoredObject(size, etag, modified, headers.get("content-type", ""), *split(beside))


def _vouched(there: StoredObject, content: bytes, boto3: Boto3Engine) -> bool:
    """Return whether the stored digest, if any, matches the content.

    Without one, returns whether boto3 would have no checksum to compare either.
    """
    sha256 = there.attributes.get(SHA256)
    if sha256 is None:
        return not boto3.checks_content
    return hashlib.sha256(content).hexdigest() == sha256


def _good(answer: Answer, operation: str) -> Answer:
    """Return the response if it is successful. Raises ClientError like botocore's."""
    if answer.status in GOOD:
        return answer
    if answer.status < 300:
        raise unusable("S3", f"its status is {answer.status}")
    code, message = _CODE.search(answer.body), _MESSAGE.search(answer.body)
    headers = dict(answer.headers)
    raise ClientError(
        {
            "Error": {
                "Code": code[1].decode() if code else str(answer.status),
                "Message": message[1].decode("utf-8", "replace") if message else "",
            },
            "ResponseMetadata": {
                "HTTPStatusCode": answer.status,
                "HTTPHeaders": headers,
                "RequestId": headers.get("x-amz-request-id", ""),
                "HostId": "",
                "RetryAttempts": 0,
            },
        },
        operation,
    )


def _after(date: str | None, expiry: int) -> bool:
    try:
        return date is not None and http_date(date).timestamp() >= expiry
    except ValueError:
        return False


def _give_up(error: OSError) -> None:
    """Raise the error of a request that must not be repeated by boto3.

    These are requests that timed out, were too slow, or had no end.
    """
    deadline = current()
    if isinstance(error, TimeoutError) or (deadline is not None and deadline.fault):
        raise error
