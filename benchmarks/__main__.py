"""`make bench`: what a command costs on its way, and what a batch saves, as ratios of one run."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.control import control_cost
from benchmarks.ingest import ingest_cost
from commands.ledger.entry import Action, Finish, Intent, Ticket
from commands.ledger.ledger import Ledger
from commands.model import Command, new_op_id
from commands.object_store import PutObject
from commands.outcome import Outcome, Status
from commands.payload import InlinePayload
from commands.scope import Mode, ResourceKind, Scope
from commands.settings import Settings
from commands.state import connect
from producers.client import Client
from producers.embedded.stack import EmbeddedStack
from routing.cache import RouteCache
from routing.registry import Registry

TENANT = "t_bench"
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANT, env="dev")
console = Console()


def put(number: int) -> PutObject:
    payload = InlinePayload(data=b"x" * 1024)
    return PutObject(tenant_id=TENANT, env="dev", key=f"k{number:06}", payload=payload)


def outcome(command: Command) -> Outcome:
    return Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=TENANT,
        env="dev",
        status=Status.DONE,
        result={},
        seq=1,
        attempt=1,
        worker="bench",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )


def micros_each(step: Callable[[], object], size: int) -> float:
    """Microseconds a command of one call over `size` commands."""
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) / size * 1e6


def ledger_cost(settings: Settings) -> None:
    """Submit, claim (with the fence) and finish, per command, by commands a call."""
    ledger = Ledger(connect(settings.state_url), settings)
    table = Table(title="ledger, µs a command (median of calls; 1 KiB payload)")
    for column in ("commands a call", "submit", "claim + fence", "finish"):
        table.add_column(column, justify="right")
    for size in (1, 10, 100, 500):
        rows: list[tuple[float, float, float]] = []
        for _ in range(max(10, 2000 // size)):
            commands = [put(number) for number in range(size)]
            token = uuid.uuid4().hex
            tickets = [Ticket(c.ref, c.op) for c in commands]
            intents = [Intent(c, "bench") for c in commands]
            finishes = [Finish(c.ref, token, Action.DONE, outcome(c)) for c in commands]
            rows.append(
                (
                    micros_each(lambda: ledger.submit(intents), size),  # noqa: B023
                    micros_each(
                        lambda: ledger.claim(tickets, token=token, worker="bench"),  # noqa: B023
                        size,
                    ),
                    micros_each(lambda: ledger.finish(token, finishes), size),  # noqa: B023
                )
            )
        medians = [statistics.median(row[step] for row in rows) for step in range(3)]
        table.add_row(str(size), *(f"{median:.1f}" for median in medians))
    console.print(table)


def resolve_cost(settings: Settings) -> None:
    registry = Registry(connect(settings.state_url))
    cache = RouteCache(registry)
    route = registry.get(SCOPE)
    assert route is not None  # noqa: S101 - set by main
    cache.resolve(SCOPE, route.fence)
    rounds = 200_000
    started = time.perf_counter()
    for _ in range(rounds):
        cache.resolve(SCOPE, route.fence)
    each = (time.perf_counter() - started) / rounds
    console.print(f"resolve from the cache, fence compared: {each * 1e6:.2f} µs")


def end_to_end(client: Client, seconds: float) -> None:
    """Enqueue to outcome: durable 1 KiB puts on the filesystem backend, two workers."""
    table = Table(title="1 KiB durable put, enqueue to outcome, 2 workers")
    for column in ("commands a submit", "commands", "commands/s", "ratio"):
        table.add_column(column, justify="right")
    first = 0.0
    for size in (1, 10, 100, 500):
        total, started = 0, time.perf_counter()
        pending = []
        while time.perf_counter() - started < seconds:
            pending += client.submit_many(put(total + n) for n in range(size))
            total += size
            if len(pending) >= 2000:
                client.wait(pending, timedelta(minutes=2))
                pending = []
        client.wait(pending, timedelta(minutes=2))
        rate = total / (time.perf_counter() - started)
        first = first or rate
        table.add_row(str(size), str(total), f"{rate:.0f}", f"{rate / first:.1f} x")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load a row")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with EmbeddedStack(data, workers=2, flower=False) as stack:
            os.environ.update(stack.environment)
            settings = Settings()
            for scope in (SCOPE, SCOPE.model_copy(update={"kind": ResourceKind.TABULAR_STORE})):
                Registry(connect(settings.state_url)).set(
                    scope,
                    "filesystem",
                    {"base_dir": str(data / "objects")},
                    mode=Mode.LAB,
                    actor="bench",
                    reason="bench",
                    change_id=new_op_id(),
                )
            console.print(f"{os.cpu_count()} cores; Redis with appendfsync always")
            ledger_cost(settings)
            resolve_cost(settings)
            with Client(settings) as client:
                end_to_end(client, arguments.seconds)
            ingest_cost(console, data, [worker.pid for worker in stack.workers])
        control_cost(console, data)


if __name__ == "__main__":
    main()
