"""The ledger alone, by commands a call: parcels, which are the ordinary way, and records."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable

from benchmarks.figure import NOISE, Figure
from benchmarks.parcel_steps import ParcelSteps
from benchmarks.part import Bench
from benchmarks.steps import finishes_of, micros
from benchmarks.testbed import puts
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.producers.embedded.redis_server import RedisServer

TENANT, PARCEL_TENANT = "t_bench", "t_parcels"
SIZES = (1, 10, 100, 500)
STEPS = ("submit", "claim with fence", "finish")
WAYS = ("parcels", "records")
CLAIM_AIM = 10.0
"""Microseconds a command at 100 a call, of parcels."""
WRITTEN_AIM, DONE_AIM, OPEN_AIM = 1700.0, 400.0, 1.6 * 1024
"""Bytes a command of 1 KiB, at 100 a call: of the append-only file, and of memory."""
KEPT_SIZES = {100: 100, 1: 1_000}
"""Commands a call, and calls, of bytes and memory."""

_Trip = Callable[[int], tuple[float, float, float]]


def ledger_cost(bench: Bench) -> list[Figure]:
    """Microseconds a command of each step, medians of calls, and what 100 a call save; what is
    written and kept of commands in parcels."""
    server = RedisServer(bench.data / "redis")
    server.start()
    try:
        client = connect(server.url)
        book = Ledger(client, Settings(max_open=0))
        parcels = ParcelSteps(client, PARCEL_TENANT)
        trips: dict[str, _Trip] = {"parcels": parcels.trip, "records": lambda n: trip(book, n)}
        rows = {size: _rows(trips, size) for size in SIZES}
        kept = _kept(client)
    finally:
        server.stop()
    figures = []
    for way in WAYS:
        for number, step in enumerate(STEPS):
            what = f"{way}: {step}"
            for size in SIZES:
                value = rows[size][way][number]
                is_aim = way == "parcels" and step == STEPS[1] and size == 100
                aim = CLAIM_AIM if is_aim else None
                figures.append(Figure(f"{what}, {size} a call", value, "µs a command", most=aim))
            saved = rows[1][way][number] / rows[100][way][number]
            figures.append(Figure(f"{what}, single to 100 a call", saved, "x", tolerance=NOISE))
    return figures + kept


def _rows(trips: dict[str, _Trip], size: int) -> dict[str, list[float]]:
    """Medians of the steps, by way; in turns, so that what else the machine does is in both."""
    rows: dict[str, list[tuple[float, float, float]]] = {way: [] for way in trips}
    for _ in range(max(10, 300 // size)):
        for way, its in trips.items():
            rows[way].append(its(size))
    return {
        way: [statistics.median(row[step] for row in its) for step in range(len(STEPS))]
        for way, its in rows.items()
    }


def _kept(client: State) -> list[Figure]:
    figures = []
    for size, calls in KEPT_SIZES.items():
        parcels = ParcelSteps(client, f"t_kept_{size}")
        parcels.trip(size)  # what is kept once for all
        written, done = parcels.kept(size, calls)
        values = (
            ("bytes written to the append-only file", written, WRITTEN_AIM),
            ("memory of a command that is done, while its outcome is kept", done, DONE_AIM),
            ("memory of an open command of 1 KiB", parcels.open(size, calls), OPEN_AIM),
        )
        for what, value, aim in values:
            most = aim if size == 100 else None
            name = f"parcels: {what}, {size} a call"
            figures.append(Figure(name, value, "bytes a command", most=most))
    return figures


def trip(book: Ledger, size: int, tenant: str = TENANT) -> tuple[float, float, float]:
    """Microseconds a command of submit, claim and finish of new records, one call each."""
    commands = puts(tenant, size)
    token = uuid.uuid4().hex
    tickets = [Ticket(c.ref, c.op) for c in commands]
    intents = [Intent(c, "bench") for c in commands]
    finishes = finishes_of(commands, token)
    return (
        micros(lambda: book.submit(intents), size),
        micros(lambda: book.claim(tickets, token=token, worker="bench"), size),
        micros(lambda: book.finish(token, finishes), size),
    )
