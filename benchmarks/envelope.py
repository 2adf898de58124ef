"""What the strict reading of a message costs, beside what kombu and Celery read it with."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

from kombu.serialization import loads
from kombu.transport.virtual.base import Channel, Message
from kombu.utils.json import loads as loads_envelope

from benchmarks.figure import Figure
from benchmarks.part import Bench
from benchmarks.testbed import for_seconds, open_testbed
from signalbox.commands.settings import Settings
from signalbox.producers.broker.redis_transport import Arrival
from signalbox.producers.broker.redis_transport import Message as CheckedMessage
from tests.fuzz.sample import QUEUE, good

TENANT = "t_bench"
MAX_PERCENT = 3.0
READS, ROUNDS = 2000, 5


def envelope_cost(bench: Bench) -> list[Figure]:
    """Microseconds a message, and the part of a single command's processor time."""
    with open_testbed(bench.data) as it:
        it.route(TENANT)
        it.run(for_seconds(TENANT, 1, 2))
        single = it.cost(for_seconds(TENANT, 1, bench.seconds), 50).micros
    item = good("0192f3c4-0000-7000-8000-000000000000").stored()
    ours, stock = _best(lambda: _read(item)), _best(lambda: _read_as_kombu(item))
    return [
        Figure("strict reading of a message", ours, "µs a message"),
        Figure("kombu's and Celery's reading", stock, "µs a message"),
        Figure("processor time, single", single, "µs a command"),
        Figure("strict reading, of a single command", 100 * ours / single, "%", most=MAX_PERCENT),
    ]


_CHANNEL = SimpleNamespace(message_limit=Settings().message_limit_bytes)


def _read(item: bytes) -> None:
    CheckedMessage(Arrival(item, QUEUE), channel=_CHANNEL)


def _read_as_kombu(item: bytes) -> None:
    """The body twice: the consumer reads it, and the pool again."""
    envelope = loads_envelope(item.decode())  # type: ignore[no-untyped-call]  # kombu has no types
    message = Message(envelope, channel=_STOCK)  # type: ignore[no-untyped-call]  # kombu has no types
    for _ in range(2):
        loads(  # type: ignore[no-untyped-call]  # kombu has no types
            message.body,
            message.content_type,
            message.content_encoding,
            accept={"application/json"},
        )


_STOCK = SimpleNamespace(
    decode_body=lambda body, encoding: Channel.codecs[encoding].decode(body),  # type: ignore[no-untyped-call]  # kombu has no types
)


def _best(step: Callable[[], None]) -> float:
    """Microseconds of processor time of the best round: what else runs makes others slower."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(READS):
            step()
        rounds.append((time.process_time() - started) / READS * 1e6)
    return min(rounds)
