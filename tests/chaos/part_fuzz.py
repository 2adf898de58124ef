"""Messages that nobody should send, by the hundred thousand, on both brokers and both pools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from tests.chaos.forgetful import ForgetfulRedis
from tests.chaos.part import Part, Row, Value
from tests.chaos.rabbit import rabbitmq
from tests.chaos.testbed import open_testbed
from tests.fuzz.known import killers
from tests.fuzz.line import Line, RabbitLine, RedisLine
from tests.fuzz.mutate import samples
from tests.fuzz.sample import Sample
from tests.fuzz.trial import TENANT, Report, play

MESSAGES = 100_000
MAX_GROWTH = 64
"""MiB."""
SEED = 13
# RabbitMQ's protocol cannot hold some of them.
SPARE = 1.06


def fuzz(folder: Path, broker: str, pool: str) -> Row:
    """Some of them in a chunk, with a good command behind each chunk."""
    serve = _redis if broker == "redis" else rabbitmq
    with serve(folder) as url, open_testbed(folder, pool=pool, broker_url=url) as testbed:
        testbed.route(TENANT)
        line: Line = RedisLine(url) if broker == "redis" else RabbitLine(url)
        return _row(play(testbed.client, testbed.stack.workers, line, _all(broker)))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Apart from the state, and without persistence: it is the messages that are tried here."""
    broker = ForgetfulRedis(folder / "broker")
    broker.start()
    try:
        yield broker.url
    finally:
        broker.kill()


def _all(broker: str) -> Iterator[Sample]:
    count = round(MESSAGES * (SPARE if broker == "rabbitmq" else 1))
    return chain(killers(broker), samples(SEED, count))


def _row(report: Report) -> Row:
    values: dict[str, Value] = {
        "messages": report.sent,
        "accepted": report.accepted,
        "refused": report.refused,
        "of them dropped": report.dropped,
        "ended": report.ended,
        "frozen": report.frozen,
        "vanished": report.vanished,
        "MiB more": report.growth,
    }
    good = report.ended == report.frozen == report.vanished == 0 and not report.notes
    return Row(values, good and report.growth <= MAX_GROWTH, report.notes)


FUZZ_PART = Part(
    "fuzz",
    "Messages that nobody should send",
    f"""
Each row sends {MESSAGES:,} messages, generated from a fixed seed, directly to the queues of two
workers. They are valid messages with changes in envelope, headers, properties, body, compression
and protocol, messages with missing and inverted bytes, and decompression bombs. All messages that
ever ended or blocked a worker are sent first (`tests/fuzz/corpus.jsonl`).

*Refused* messages became dead letters. The newest of these are kept, and the others are *dropped*
and counted. *Ended* counts processes that ended, *frozen* the valid commands in between without
an outcome within two minutes, and *vanished* the messages that left no trace. *MiB more* is the
growth of the process that grew most, compared with its size when idle; at most {MAX_GROWTH} are
promised.
""",
    {
        f"{broker}:{pool}": partial(fuzz, broker=broker, pool=pool)
        for broker in ("redis", "rabbitmq")
        for pool in ("threads", "prefork")
    },
)
