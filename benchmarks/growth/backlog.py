"""With 10 to 100,000 open commands (1,000,000 in the full run) behind which nobody is at work."""

from __future__ import annotations

from datetime import timedelta

import psutil
import redis

from benchmarks.figure import Figure
from benchmarks.growth.flat import flat
from benchmarks.lane import cpu_of, puts
from benchmarks.ledger import trip
from benchmarks.part import Bench
from commands.ledger.entry import Intent
from commands.ledger.ledger import Ledger
from commands.settings import Settings
from commands.state import connect
from producers.embedded.redis_server import RedisServer

LEVELS, FULL_LEVELS = (10, 1_000, 10_000, 100_000), (1_000_000,)
TENANTS = 20
STEP, BATCH, TRIPS, ROUNDS = 500, 100, 30, 5
PAYLOAD_BYTES = 1024
INTENT_AIM = 4096
"""Bytes of Redis for an open command, beyond its payload of 1 KiB."""


def backlog_growth(bench: Bench) -> list[Figure]:
    """Processor time of submit, claim and finish (this process and Redis) of a tenant that has
    a backlog and of one that has none, and Redis' memory for an open command."""
    levels = LEVELS + (FULL_LEVELS if bench.full else ())
    server = RedisServer(bench.data / "redis")
    server.start()
    try:
        client = connect(server.url)
        book = Ledger(
            client, Settings(state_url=server.url, max_open=0, publish_grace=timedelta(hours=1))
        )
        trip(book, BATCH)
        rows: dict[int, list[float]] = {}
        open_, used = 0, _memory(client)
        for level in levels:
            _open_more(book, open_, level)
            each = (_memory(client) - used) / (level - open_)
            open_, used = level, _memory(client)
            rows[level] = [_micros(book, server) for _ in range(ROUNDS)]
            kept, used = (_memory(client) - used) / (ROUNDS * TRIPS * BATCH), _memory(client)
    finally:
        server.stop()
    return [
        *flat("open commands", rows),
        Figure("Redis for an open command of 1 KiB", each, "bytes"),
        Figure("the same, beyond its payload", each - PAYLOAD_BYTES, "bytes", most=INTENT_AIM),
        Figure("Redis for a command that is done, while its outcome is kept", kept, "bytes"),
    ]


def _memory(client: redis.Redis) -> int:
    """Bytes that Redis uses."""
    return int(client.info("memory")["used_memory"])


def _open_more(book: Ledger, begin: int, end: int) -> None:
    """Submit until so many are open, tenants in turn."""
    for number, first in enumerate(range(begin, end, STEP)):
        commands = puts(f"t_backlog_{number % TENANTS}", min(STEP, end - first))
        book.submit([Intent(command, "bench") for command in commands])


def _micros(book: Ledger, server: RedisServer) -> float:
    both = [psutil.Process(), psutil.Process(server.pid)]
    before = cpu_of(both)
    for number in range(TRIPS):
        trip(book, BATCH, "t_backlog_0" if number % 2 else "t_bench")
    return (cpu_of(both) - before) / (TRIPS * BATCH) * 1e6
