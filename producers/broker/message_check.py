"""Messages as they arrive: checked where kombu makes its objects of them, for every transport.

A message that is refused is an object like any other, with an error in place of content, which
kombu gives to the consumer's `on_decode_error`; so nothing that a message holds raises inside the
event loop of a worker.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import Any

from kombu import message as stock
from kombu.exceptions import DecodeError

from signalbox.commands.envelope import (
    CONTENT_TYPE,
    UNREADABLE_TYPE,
    Stored,
    read_call,
    read_json,
    read_stored,
)
from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.refusal import Refusal, refusal


@dataclass(frozen=True, slots=True)
class Control:
    """A message of remote control or an event, read and bounded."""

    body: dict[str, Any] | list[Any]
    headers: dict[str, Any]


def read_control(stored: Stored, max_bytes: int) -> Control:
    """Raises InvalidCommand."""
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
    """Says why to whoever consumes without a handler of its own."""


class Arrived(stock.Message):
    """A message that holds a call that was checked, or the refusal of one."""

    refusal: Refusal | None = None

    def take(self, stored: Stored, raw: bytes, max_bytes: int, **where: Any) -> None:
        """Fill this message with what `stored` asks for, or with the reason against it."""
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
        self.refusal = refused
        reason: Any = (Refused, Refused(str(refused.error)), None)
        self.errors = [reason]
        self._fill(body=b"", content_type=None, content_encoding=None, **where)

    def take_control(self, control: Control, **where: Any) -> None:
        """A command or an answer of remote control, or an event."""
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


def kept(item: bytes) -> dict[str, Any]:
    """What stands for a message that cannot be read among the broker's unacknowledged ones, until
    it is a dead letter. Should its worker die before, it comes back, and is refused again."""
    return {
        "body": base64.b64encode(item[:KEPT_BYTES]).decode(),
        "content-type": UNREADABLE_TYPE,
        "content-encoding": "binary",
        "headers": {},
        "properties": {"body_encoding": "base64"},
    }


def open_item(item: bytes, max_bytes: int) -> tuple[bytes, Stored]:
    """What the Redis transport has stored, unpacked if it was kept once already.

    Raises InvalidCommand; the bytes to keep are then the item's own.
    """
    stored = read_stored(item, max_bytes)
    if stored.content_type == UNREADABLE_TYPE:
        return open_item(stored.body, max_bytes)
    return item, stored


def stored_call(message: Arrived, body: str | None, queue: str) -> dict[str, Any]:
    """The envelope under which the Redis transport holds a checked message until it is done.

    `body` is that in base64, where it came so.
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
    """A delivery tag of our own: two messages with the sender's same one would be one to kombu."""
    return uuid.uuid4().hex
