"""Kombu's Redis transport, with one client per channel, message checks, and more tolerance.

Kombu makes a new client for each call to the broker, 0.1 ms of processor time each, about five
times for a message from its publishing to its acknowledgement.

A broker that is full, read-only or cannot save answers with errors that Celery does not expect, and
that end a worker. Here they count as a lost connection, after which the worker connects again.

A ring message is not stored again while it is processed: the ledger has what it announces, and the
reconciler rings again where no worker comes.

Anyone may have written what is in a list, in the hash of unacknowledged messages or in a
publication. Kombu decodes it inside the event loop, where an exception would end the worker; here
it is checked first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from queue import Empty
from typing import Any

import redis
import structlog
from kombu.transport import TRANSPORT_ALIASES, _transport_cache, virtual
from kombu.transport import redis as stock

from signalbox.commands.address import DRIVER
from signalbox.commands.bounded_json import read_json
from signalbox.commands.envelope import read_stored
from signalbox.commands.error import SignalboxError
from signalbox.commands.refused_message import refusal
from signalbox.commands.settings import Settings
from signalbox.commands.state_error import is_passing
from signalbox.commands.wire import DRAIN, Ring, read_ring
from signalbox.producers.broker.address import OURS
from signalbox.producers.broker.message_check import (
    Arrived,
    Control,
    kept,
    new_tag,
    open_item,
    read_control,
    stored_call,
)

log = structlog.get_logger("signalbox.broker")

_QUEUE = re.compile(r"[a-z_]{1,64}\.[0-9]{1,4}", re.ASCII)
_LOST_AND_FOUND = "commands.0"
"""Queue for an unacknowledged message that does not name its queue; it is refused there."""
_REPLIES = ".pidbox"
"""Suffix of the queues of remote control."""


class Arrival:
    """An item that was popped from a list, and the list's name.

    The channel's Message is made of it.
    """

    __slots__ = ("item", "queue")

    def __init__(self, item: bytes, queue: str) -> None:
        self.item = item
        self.queue = queue


class Message(Arrived, virtual.Message):
    """A message made of an Arrival or a Control; of another payload as kombu makes it."""

    ring: Arrival | None = None
    """Of what it was made, if it is a valid ring message."""

    def __init__(self, payload: Any, channel: Any = None, **keywords: Any) -> None:
        self._raw: Any = {}
        if isinstance(payload, Arrival):
            self._open(payload.item, payload.queue, channel)
        elif isinstance(payload, Control):
            where = {"delivery_tag": new_tag(), "delivery_info": {}}
            self.take_control(payload, channel=channel, **where)
        else:
            super().__init__(payload, channel, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types

    def _open(self, item: bytes, queue: str, channel: Any) -> None:
        where = {
            "channel": channel,
            "delivery_tag": new_tag(),
            "delivery_info": {"exchange": "", "routing_key": queue},
        }
        limit = channel.message_limit
        try:
            item, stored = open_item(item, limit)
        except SignalboxError as error:
            self.refuse(refusal(error, item), **where)
            self._raw = kept(item)
            return
        self.take(stored, item, limit, **where)
        refused = self.refusal is not None
        if not refused and self.headers["task"] == DRAIN and self._rings(channel.tenant_shards):
            self.ring = Arrival(item, queue)
            return
        self._raw = kept(item) if refused else stored_call(self, stored.base64_text, queue)

    def _rings(self, tenant_shards: int) -> bool:
        decoded: Any = self._decoded_cache
        positional, keywords, _ = decoded
        return isinstance(read_ring("", keywords, tenant_shards, positional), Ring)


class QoS(stock.QoS):
    """Kombu's record of unacknowledged messages.

    Refused ones do not count for the prefetch limit. Ring messages are recorded in memory alone.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types
        self._aside: set[str] = set()
        self._rings: dict[str, Arrival] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        if (ring := getattr(message, "ring", None)) is None:
            super().append(message, delivery_tag)  # type: ignore[no-untyped-call]  # kombu has no types
            return
        self._rings[delivery_tag] = ring
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]  # kombu has no types

    def ack(self, delivery_tag: str) -> None:
        if self._rings.pop(delivery_tag, None) is None:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]  # kombu has no types
        else:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]  # kombu has no types

    def set_aside(self, tag: str) -> None:
        """Exclude a refused message from the prefetch limit, so that it delays no others."""
        self._aside.add(tag)

    def can_consume(self) -> bool:
        taken = len(self._delivered) - len(self._dirty) - len(self._aside)
        return not self.prefetch_count or taken < self.prefetch_count

    def restore_visible(self, *arguments: Any, **keywords: Any) -> None:
        """Workers alone: who only waits for workers' answers puts no messages back."""
        if any(map(_QUEUE.fullmatch, self.channel.active_queues)):
            super().restore_visible(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types

    def acknowledge(self, tags: Sequence[str]) -> None:
        """Acknowledge these messages in one round trip."""
        with self.channel.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
        self._aside.difference_update(tags)
        self._dirty.update(tags)

    def restore_unacked(self, client: Any = None) -> None:
        super().restore_unacked(client)  # type: ignore[no-untyped-call]  # kombu has no types
        self._aside.clear()

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put an unacknowledged message back on its queue, where it is checked again."""
        if (ring := self._rings.pop(tag, None)) is not None:
            with self.channel.conn_or_acquire(client) as connected:
                push = connected.lpush if leftmost else connected.rpush
                push(self.channel._q_for_pri(ring.queue, 0), ring.item)
            return

        def restore(pipe: Any) -> None:
            stored = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)  # type: ignore[no-untyped-call]  # kombu has no types
            if stored:
                queue, item = _unacknowledged(stored, self.channel.message_limit)
                push = pipe.lpush if leftmost else pipe.rpush
                push(self.channel._q_for_pri(queue, 0), item)

        with self.channel.conn_or_acquire(client) as connected:
            connected.transaction(restore, self.unacked_key)


class _RefusalsAsLosses:
    """A connection that counts as lost when the broker refuses a call for a temporary reason."""

    def read_response(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().read_response(*arguments, **keywords)  # type: ignore[misc]
        except redis.ResponseError as error:
            if is_passing(error):
                raise redis.ConnectionError(f"the broker refuses: {error}") from error
            raise


class _Connection(_RefusalsAsLosses, redis.Connection):
    pass


class _TlsConnection(_RefusalsAsLosses, redis.SSLConnection):
    pass


class Channel(stock.Channel):
    """A channel whose messages are checked."""

    connection_class = _Connection
    connection_class_ssl = _TlsConnection
    Message = Message
    QoS = QoS

    _shared: Any = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        settings = Settings()
        self.message_limit = settings.message_limit_bytes
        self.tenant_shards = settings.tenant_shards
        super().__init__(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types

    def set_aside(self, tag: str) -> None:
        self.qos.set_aside(tag)

    def acknowledge(self, tags: Sequence[str]) -> None:
        self.qos.acknowledge(tags)

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not answer:
                raise Empty
            queue = answer[0].decode().rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self._deliver(answer[1], queue)
            return True
        finally:
            self._in_poll: Any = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]  # kombu has no types

    def _receive_one(self, c: Any) -> bool:
        try:
            answer = c.parse_response()
        except self.connection_errors:
            self._in_listen: Any = None
            raise
        if not isinstance(answer, list | tuple):
            return False
        received = self._handle_message(c, answer)  # type: ignore[no-untyped-call]  # kombu has no types
        if received["type"] not in (b"message", b"pmessage") or not received["data"]:
            return False
        topic = received["channel"].decode("utf-8", "replace")
        exchange = topic.partition(".")[2].split("/", 1)[0]
        queue = self._fanout_to_queue.get(exchange)
        if queue is None:
            return False
        return self._deliver(received["data"], queue)

    def _deliver(self, item: bytes, queue: str) -> bool:
        try:
            arrived: Any = Arrival(item, queue)
            if queue.endswith(_REPLIES) or queue in self._fanout_queues:
                # A message of remote control and not a command: an unreadable one is dropped.
                arrived = read_control(read_stored(item, self.message_limit), self.message_limit)
        except SignalboxError as error:
            log.warning("a remote control message was dropped", reason=error.message)
            raise Empty from error
        self.connection._deliver(arrived, queue)
        return True

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            # These hold connections of their own for subscriptions and blocking reads.
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]  # kombu has no types
        # Another pool means a lost connection or a fork.
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[no-untyped-call]  # kombu has no types
        return self._shared

    def _connparams(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        stock_parameters = super()._connparams(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types
        return {"driver_info": DRIVER, **stock_parameters}


class Transport(stock.Transport):
    """The transport of `redis://` and `rediss://`, for apps with the option `OURS`.

    A service's own Celery app in the same process has kombu's channels.
    """

    def __init__(self, client: Any, *arguments: Any, **keywords: Any) -> None:
        self.Channel = Channel if client.transport_options.get(OURS) else stock.Channel
        super().__init__(client, *arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types


def _unacknowledged(stored: bytes, limit: int) -> tuple[str, bytes]:
    """Return queue and envelope of a message in kombu's hash of unacknowledged ones."""
    try:
        envelope, _, queue = read_json(stored, 2 * limit, "the unacknowledged message")
        if isinstance(queue, str) and _QUEUE.fullmatch(queue):
            return queue, json.dumps(envelope).encode()
    except (SignalboxError, TypeError, ValueError):
        pass
    return _LOST_AND_FOUND, stored


def use_one_client_a_channel() -> None:
    """Have `redis://` and `rediss://` look for apps of ours in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        _transport_cache.pop(scheme, None)  # of whoever connected before
