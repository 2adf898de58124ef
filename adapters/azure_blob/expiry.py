"""Effects that end in time: by Azure's own clock, and by a look before the first byte.

A writer may be frozen anywhere between its own question and the send: while the SDK signs, or
before a second attempt. The transport is the last place at which it can still refuse itself, and
there the SDK's signature is replaced by a shared access signature (SAS) for this one blob that ends
before the limit: what is sent later is refused by Azure.
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

from signalbox.adapters.answer import checked_size, span_of, unusable
from signalbox.adapters.deadline import CONNECT_SECONDS, REQUEST_SECONDS, Expired, current
from signalbox.adapters.http_date import http_date
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.service_clock import ServiceClock
from signalbox.commands.error import Unavailable

Sign = Callable[[str, str, int], str]
"""A SAS to write and delete one blob: its container and name, and the end in seconds since 1970."""


@dataclass(frozen=True)
class _Effect:
    limit: TimeLimit
    container: str
    name: str


_effect: ContextVar[_Effect | None] = ContextVar("signalbox_azure_effect", default=None)


@contextmanager
def bounded(limit: TimeLimit, blob: BlobClient) -> Iterator[dict[str, Any]]:
    """An effect on a blob: no request within it is sent after the limit. Gives the bounds of one
    request, in seconds, as the SDK takes them.

    Raises Expired, also before the first byte of a request within.
    """
    left = limit.remaining()
    token = _effect.set(_Effect(limit, blob.container_name, blob.blob_name))
    try:
        yield {"timeout": max(1, int(left)), "read_timeout": min(REQUEST_SECONDS, left)}
    finally:
        _effect.reset(token)


class BoundedTransport(RequestsTransport):  # type: ignore[misc]  # loaded lazily, so Any to mypy
    """Sends nothing of an effect whose time is over, and nothing that Azure would take after it.
    Raises Expired."""

    sign: Sign | None = None
    """None: the credentials can sign no SAS, and the look before the first byte is all."""

    def __init__(self, session: requests.Session, account_url: str) -> None:
        super().__init__(session=session, session_owner=False)
        self._requests = session
        self._account_url = account_url
        self._clock = ServiceClock()

    def send(self, request: Any, **options: Any) -> Any:
        if (deadline := current()) is not None:
            # The SDK asks again by itself for what broke off.
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
        """Have the request end before its limit; when, by Azure's clock."""
        self._clock.learn(self._ask_time)
        _, expiry = self._clock.window(effect.limit)
        token = _effect.set(None)
        try:
            # It may ask Azure for a key.
            signature = sign(effect.container, effect.name, expiry)
        finally:
            _effect.reset(token)
        request.headers.pop("Authorization", None)
        request.url += ("&" if "?" in request.url else "?") + signature
        return expiry

    def _ask_time(self) -> None:
        # Unsigned: whatever it says to that, it says when.
        with suppress(requests.RequestException):
            answer = self._requests.head(
                self._account_url, timeout=(CONNECT_SECONDS, REQUEST_SECONDS), allow_redirects=False
            )
            self._clock.observe(answer.headers.get("Date"))


def _check_range(asked: str | None, answer: Any) -> None:
    """Raise Unavailable for a piece that is not within the one asked for (`bytes=0-99`)."""
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
