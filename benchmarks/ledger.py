"""The ledger alone: submit, claim (with the fence) and finish, by commands a call."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.figure import NOISE, Figure
from benchmarks.lane import ENV, puts
from benchmarks.part import Bench
from commands.ledger.entry import Action, Finish, Intent, Ticket
from commands.ledger.ledger import Ledger
from commands.model import Command
from commands.outcome import Outcome, Status
from commands.settings import Settings
from commands.state import connect
from producers.embedded.redis_server import RedisServer

TENANT = "t_bench"
SIZES = (1, 10, 100, 500)
STEPS = ("submit", "claim with fence", "finish")
CLAIM_AIM = 10.0
"""Microseconds a command at 100 a call."""


def ledger_cost(bench: Bench) -> list[Figure]:
    """Microseconds a command of each step, medians of calls, and what 100 a call save."""
    server = RedisServer(bench.data / "redis")
    server.start()
    try:
        book = Ledger(connect(server.url), Settings(state_url=server.url, max_open=0))
        rows = {size: _row(book, size) for size in SIZES}
    finally:
        server.stop()
    figures = []
    for number, step in enumerate(STEPS):
        for size, row in rows.items():
            aim = CLAIM_AIM if step == "claim with fence" and size == 100 else None
            figures.append(Figure(f"{step}, {size} a call", row[number], "µs a command", most=aim))
        saved = rows[1][number] / rows[100][number]
        figures.append(Figure(f"{step}, single to 100 a call", saved, "x", tolerance=NOISE))
    return figures


def _row(book: Ledger, size: int) -> list[float]:
    rows = [trip(book, size) for _ in range(max(10, 2000 // size))]
    return [statistics.median(row[step] for row in rows) for step in range(len(STEPS))]


def trip(book: Ledger, size: int, tenant: str = TENANT) -> tuple[float, float, float]:
    """Microseconds a command of submit, claim and finish of new commands, one call each."""
    commands = puts(tenant, size)
    token = uuid.uuid4().hex
    tickets = [Ticket(c.ref, c.op) for c in commands]
    intents = [Intent(c, "bench") for c in commands]
    finishes = [Finish(c.ref, token, Action.DONE, outcome(c)) for c in commands]
    return (
        _micros(lambda: book.submit(intents), size),
        _micros(lambda: book.claim(tickets, token=token, worker="bench"), size),
        _micros(lambda: book.finish(token, finishes), size),
    )


def _micros(step: Callable[[], object], size: int) -> float:
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) / size * 1e6


def outcome(command: Command) -> Outcome:
    return Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=command.tenant_id,
        env=ENV,
        status=Status.DONE,
        result={},
        seq=1,
        attempt=1,
        worker="bench",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )
