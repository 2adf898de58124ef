"""Checks of arriving messages, before kombu makes its objects of them, for every transport.

A refused message becomes an object like any other, with an error in place of content, which kombu
passes to the consumer's `on_decode_error`. Nothing in a message can therefore raise inside a
worker's event loop.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import Any

from kombu import message as stock
from kombu.exceptions import DecodeError

from signalbox.commands.bounded_json import read_json
from signalbox.commands.envelope import (
    CONTENT_TYPE,
    UNREADABLE_TYPE,
    Stored,
    read_call,
    read_stored,
)
from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.refused_message import Refusal, refusal


@dataclass(frozen=True, slots=True)
class Control:
    """A message of Celery's remote control, or an event, that was checked."""

    body: dict[str, Any] | list[Any]
    """The message's content."""
    headers: dict[str, Any]
    """The headers that Celery uses, each of the right type."""


def read_control(stored: Stored, max_bytes: int) -> Control:
    """Return the message if it is valid. Raises InvalidCommand."""
    if not isinstance(stored.headers, dict):
        raise InvalidCommand("the headers are no object")
    body = read_json(stored.body, max_bytes, "the body")
    if not body or not isinstance(body, dict | list):
        raise InvalidCommand("the body is neither an object nor a list, or empty")
    headers = {}
    for name, kind in _CONTROL_HEADERS.items():
        value: Any = stored.headers.get(name)
        if isinstance(value, kind) and (isinstance(value, str) or 0 <= value < _MAX_CLOCK):
            headers[name] = value
    return Control(body, headers)


_CONTROL_HEADERS: dict[str, Any] = {
    "clock": int,
    "expires": (int, float),
    "ticket": str,
}
_MAX_CLOCK = 2**62


class Refused(DecodeError):
    """The reason for a refusal, for consumers without `on_decode_error`."""


class Arrived(stock.Message):
    """A message with a checked command, or with its refusal."""

    refusal: Refusal | None = None
    """Why the message was refused; None if it was not."""

    def take(self, stored: Stored, raw: bytes, max_bytes: int, **where: Any) -> None:
        """Fill this message with the command in `stored`, or with its refusal."""
        try:
            call = read_call(stored, max_bytes)
        except SignalboxError as error:
            self.refuse(refusal(error, raw, stored), **where)
            return
        self._fill(
            body=stored.body,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            headers=call.headers(),
            properties={"correlation_id": call.id},
            **where,
        )
        self._decoded_cache = call.payload()

    def refuse(self, refused: Refusal, **where: Any) -> None:
        """Fill this message with a refusal."""
        self.refusal = refused
        reason: Any = (Refused, Refused(str(refused.error)), None)
        self.errors = [reason]
        self._fill(body=b"", content_type=None, content_encoding=None, **where)

    def take_control(self, control: Control, **where: Any) -> None:
        """Fill this message with one of remote control, or an event."""
        self._fill(
            body=b"",
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            headers=control.headers,
            properties={},
            **where,
        )
        self._decoded_cache = control.body

    def _fill(self, **parts: Any) -> None:
        stock.Message.__init__(self, **parts)  # type: ignore[no-untyped-call]  # kombu has no types


KEPT_BYTES = 1024 * 1024
"""Maximum number of bytes kept of a refused message."""


def kept(item: bytes) -> dict[str, Any]:
    """Return the form in which the broker holds an unreadable message until it is a dead letter.

    If its worker dies before that, the message is delivered again and refused again.
    """
    return {
        "body": base64.b64encode(item[:KEPT_BYTES]).decode(),
        "content-type": UNREADABLE_TYPE,
        "content-encoding": "binary",
        "headers": {},
        "properties": {"body_encoding": "base64"},
    }


def open_item(item: bytes, max_bytes: int) -> tuple[bytes, Stored]:
    """Return the bytes that the Redis transport has stored and the message in them.

    A message in the form of `kept` is unpacked first. Raises InvalidCommand.
    """
    stored = read_stored(item, max_bytes)
    if stored.content_type == UNREADABLE_TYPE:
        return open_item(stored.body, max_bytes)
    return item, stored


def stored_call(message: Arrived, body: str | None, queue: str) -> dict[str, Any]:
    """Return the form in which the Redis transport holds a checked message until its end.

    `body` is its base64 text if it arrived so, else None.
    """
    return {
        "body": base64.b64encode(message.body).decode() if body is None else body,
        "content-type": CONTENT_TYPE,
        "content-encoding": "utf-8",
        "headers": message.headers,
        "properties": {
            "body_encoding": "base64",
            "priority": 0,
            "delivery_tag": message.delivery_tag,
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def new_tag() -> str:
    """Return a new delivery tag.

    The sender's would make two messages with the same tag one for kombu.
    """
    return uuid.uuid4().hex
