"""Kombu's transport for RabbitMQ, with checks of all arriving messages.

py-amqp decodes properties and headers while it reads frames, inside the event loop: an exception
there would end the worker, and the redelivered message would end the next one.
"""

from __future__ import annotations

from struct import unpack_from
from types import FunctionType
from typing import Any

from amqp import method_framing, spec
from amqp.basic_message import Message as RawMessage
from kombu.transport import TRANSPORT_ALIASES, _transport_cache
from kombu.transport import pyamqp as stock

from signalbox.commands.envelope import Stored
from signalbox.commands.error import InvalidCommand, SignalboxError, TooLarge
from signalbox.commands.refused_message import HELD_BYTES, refusal
from signalbox.commands.settings import Settings
from signalbox.producers.broker.address import OURS
from signalbox.producers.broker.message_check import Arrived, read_control

_LIMIT = Settings().message_limit_bytes


class BoundedMessage(RawMessage):  # type: ignore[misc]  # amqp has no types
    """A message read from frames by py-amqp, that never raises and is limited in size."""

    unreadable: SignalboxError | None = None
    """Why the message cannot be read; None if it can."""
    properties: dict[str, Any]
    body: bytes
    body_size: int
    body_received: int
    _pending_chunks: list[bytes]

    def _load_properties(self, class_id: Any, buf: Any, offset: int) -> int:
        try:
            return int(super()._load_properties(class_id, buf, offset))
        except Exception as error:  # noqa: BLE001 - a message must never end the worker
            self.properties = {}
            self.unreadable = InvalidCommand(
                f"properties or headers cannot be read ({type(error).__name__})"
            )
            return offset

    def inbound_body(self, buf: Any) -> None:
        if self.body_size <= _LIMIT:
            super().inbound_body(buf)
            return
        self.body_received += len(buf)
        if sum(map(len, self._pending_chunks)) < HELD_BYTES:
            self._pending_chunks.append(bytes(buf[:HELD_BYTES]))
        if self.body_received >= self.body_size:
            self.body = b"".join(self._pending_chunks)
            self._pending_chunks = []
            self.unreadable = TooLarge(
                f"the body has {self.body_size} bytes, more than {_LIMIT}",
                next_step="send fewer commands in a message, and large content by claim check",
            )
            self.ready = True


class Message(Arrived, stock.Message):
    """A kombu message made of a message of RabbitMQ, checked."""

    def __init__(self, msg: Any, channel: Any = None, **_: Any) -> None:
        where = {
            "channel": channel,
            "delivery_tag": msg.delivery_tag,
            "delivery_info": msg.delivery_info,
        }
        properties, body = msg.properties, bytes(msg.body)
        headers = properties.get("application_headers") or {}
        stored = Stored(
            body,
            properties.get("content_type"),
            properties.get("content_encoding"),
            headers,
            {name: value for name, value in properties.items() if name != "application_headers"},
        )
        error = getattr(msg, "unreadable", None)
        if msg.delivery_info["consumer_tag"] in channel.control_tags:
            self._take_control(stored, error, where)
        elif error is not None:
            self.refuse(refusal(error, body, stored), **where)
        else:
            self.take(stored, repr(sorted(headers)).encode() + body, _LIMIT, **where)

    def _take_control(
        self, stored: Stored, error: SignalboxError | None, where: dict[str, Any]
    ) -> None:
        try:
            if error is not None:
                raise error
            self.take_control(read_control(stored, _LIMIT), **where)
        except SignalboxError as error:
            self.control = True
            self.refuse(refusal(error, stored.body, stored), **where)


class Channel(stock.Channel):
    """A channel whose messages are checked."""

    Message = Message

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.control_tags: set[str] = set()
        super().__init__(*arguments, **keywords)
        # Kombu would decode bodies with any codec that a message names, some of which take
        # quadratic time.
        self.auto_decode = False

    def basic_consume(self, queue: str = "", *arguments: Any, **keywords: Any) -> Any:
        tag = keywords.get("consumer_tag", "")
        if queue.endswith(".pidbox") or queue.startswith("celeryev"):
            self.control_tags.add(tag)
        return super().basic_consume(queue, *arguments, **keywords)

    def dispatch_method(self, method_sig: Any, payload: Any, content: Any) -> None:
        try:
            super().dispatch_method(method_sig, payload, content)
        except UnicodeDecodeError:
            if method_sig != spec.Basic.Deliver:
                raise
            # A routing key may consist of any bytes if the sender has bound the queue to an
            # exchange.
            [length] = unpack_from(">B", payload, 4)
            consumer = bytes(payload[5 : 5 + length]).decode()
            [tag] = unpack_from(">Q", payload, 5 + length)
            self._on_basic_deliver(consumer, tag, False, "", "", content)


# py-amqp's own, but for the class of the messages that it makes.
_read_frames = FunctionType(
    method_framing.frame_handler.__code__,
    vars(method_framing) | {"Message": BoundedMessage},
    argdefs=method_framing.frame_handler.__defaults__,
)


class Connection(stock.Connection):
    """A connection whose channels check messages."""

    Channel = Channel

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords.pop(OURS)
        super().__init__(*arguments, frame_handler=_read_frames, **keywords)


class Transport(stock.Transport):
    """The transport of `amqp://`, for apps with the option `OURS`.

    A service's own Celery app in the same process has kombu's connections.
    """

    def __init__(self, client: Any, **keywords: Any) -> None:
        super().__init__(client, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types
        self.Connection = Connection if client.transport_options.get(OURS) else stock.Connection


class SSLTransport(stock.SSLTransport):
    """The same for `amqps://`."""

    def __init__(self, client: Any, **keywords: Any) -> None:
        super().__init__(client, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types
        self.Connection = Connection if client.transport_options.get(OURS) else stock.Connection


def use_checked_messages() -> None:
    """Have `amqp://`, `pyamqp://` and `amqps://` look for apps of ours in this process."""
    for scheme in ("amqp", "pyamqp"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:SSLTransport"
    for scheme in ("amqp", "pyamqp", "amqps"):
        _transport_cache.pop(scheme, None)  # of whoever connected before
