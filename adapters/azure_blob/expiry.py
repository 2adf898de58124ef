"""Requests that expire: Azure refuses a write that arrives after its time limit.

A writer may be suspended anywhere between its own check and the sending, for example while the SDK
signs, or before a retry. The transport is the last place that can refuse a request. There the SDK's
signature is replaced by a shared access signature (SAS) for this blob that ends before the limit,
so that Azure refuses what is sent later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobClient

from signalbox.adapters.deadline import CONNECT_SECONDS, REQUEST_SECONDS, Expired, current
from signalbox.adapters.http_date import http_date
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import checked_size, span_of, unusable
from signalbox.adapters.service_clock import ServiceClock
from signalbox.commands.error import Unavailable

Sign = Callable[[str, str, int], str]
"""Returns a SAS to write and delete one blob, for container, blob name, and end in seconds since
1970."""


@dataclass(frozen=True)
class _Effect:
    limit: TimeLimit
    container: str
    name: str


_effect: ContextVar[_Effect | None] = ContextVar("signalbox_azure_effect", default=None)


@contextmanager
def bounded(limit: TimeLimit, blob: BlobClient) -> Iterator[dict[str, Any]]:
    """Have an effect on a blob: no request is sent after the limit.

    Yields the SDK's timeout arguments for one request, in seconds. Raises Expired, also before the
    first byte of a request.
    """
    left = limit.remaining()
    token = _effect.set(_Effect(limit, blob.container_name, blob.blob_name))
    try:
        yield {"timeout": max(1, int(left)), "read_timeout": min(REQUEST_SECONDS, left)}
    finally:
        _effect.reset(token)


class BoundedTransport(RequestsTransport):  # type: ignore[misc]  # loaded lazily, so Any to mypy
    """Sends no request of an effect after its limit, nor one that Azure would accept after it.

    Raises Expired.
    """

    sign: Sign | None = None
    """Makes a SAS; None if the credentials cannot, and the check before the first byte must
    suffice."""

    def __init__(self, session: requests.Session, account_url: str) -> None:
        super().__init__(session=session, session_owner=False)
        self._requests = session
        self._account_url = account_url
        self._clock = ServiceClock()

    def send(self, request: Any, **options: Any) -> Any:
        if (deadline := current()) is not None:
            # The SDK itself repeats a request that broke off.
            deadline.begin()
        effect, expiry = _effect.get(), None
        if effect is not None:
            if self.sign is not None:
                expiry = self._end(request, effect, self.sign)
            effect.limit.remaining()
        answer = super().send(request, **options)
        date = answer.headers.get("Date")
        self._clock.observe(date)
        if expiry is not None and answer.status_code == 403 and _after(date, expiry):
            answer.internal_response.close()
            raise Expired("Azure refused a request that came after its time limit")
        try:
            _check_range(request.headers.get("x-ms-range"), answer)
        except Unavailable:
            answer.internal_response.close()
            raise
        return answer

    def _end(self, request: Any, effect: _Effect, sign: Sign) -> int:
        """Make the request expire before its limit; return the expiry by Azure's clock."""
        self._clock.learn(self._ask_time)
        _, expiry = self._clock.window(effect.limit)
        token = _effect.set(None)
        try:
            # It may request a key from Azure.
            signature = sign(effect.container, effect.name, expiry)
        finally:
            _effect.reset(token)
        request.headers.pop("Authorization", None)
        request.url += ("&" if "?" in request.url else "?") + signature
        return expiry

    def _ask_time(self) -> None:
        # Unsigned: any response has a date.
        with suppress(requests.RequestException):
            answer = self._requests.head(
                self._account_url, timeout=(CONNECT_SECONDS, REQUEST_SECONDS), allow_redirects=False
            )
            self._clock.observe(answer.headers.get("Date"))


def _check_range(asked: str | None, answer: Any) -> None:
    """Raise Unavailable for a response outside the requested range (`bytes=0-99`)."""
    given = answer.headers.get("Content-Range")
    if asked is None or given is None or answer.status_code not in (200, 206):
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    begin, end, whole = span_of("Azure", given)
    size = checked_size("Azure", answer.headers.get("Content-Length", str(end - begin + 1)))
    if begin != int(first) or (last and end > int(last)) or size != end - begin + 1 or end >= whole:
        raise unusable("Azure", "it is of another range than was asked for")


def _after(date: str | None, expiry: int) -> bool:
    try:
        return date is not None and http_date(date).timestamp() >= expiry
    except ValueError:
        return False
