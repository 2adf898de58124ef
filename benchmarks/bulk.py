"""Rows, points and events a second by the embedded backend's adapters, singly and in bulk."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.catalogue import find_backend
from adapters.port import AdapterContext, Call
from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench
from commands.clock import lease_clock
from commands.error import SignalboxError
from commands.event_stream import AppendEvent, Event
from commands.metrics_store import IngestPoints, Point
from commands.model import Command
from commands.payload import DirectoryPayloadStore
from commands.scope import Mode, ResourceKind, Scope
from commands.tabular_store import UpsertRow

TENANT, ENV = "t_bench", "dev"
SIZES = (1, 100, 500)
ROUNDS = 5
ROWS_AIM = 15_000.0
"""Durable rows a second at 100 a batch."""
BULK = {
    ResourceKind.TABULAR_STORE: ("rows", "upsert_many"),
    ResourceKind.METRICS_STORE: ("points", "ingest_many"),
    ResourceKind.EVENT_STREAM: ("events", "append_many"),
}
"""What each kind holds, and the method that takes many."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_PLACE = {"tenant_id": TENANT, "env": ENV}
_numbers = itertools.count(1)


def bulk_cost(bench: Bench) -> list[Figure]:
    """Durable: each call is synced before it answers. One thread."""
    figures = []
    for kind, (what, _) in BULK.items():
        config = {"base_dir": str(bench.data)}
        with opened(kind, "filesystem", config, Mode.LAB) as store:
            rates = rates_of(kind, store, SIZES, bench.seconds / 3)
        for size, rate in rates.items():
            aim = ROWS_AIM if size == 100 and what == "rows" else None
            figures.append(Figure(f"{what}, {size} a call", rate, f"{what}/s", least=aim))
        faster = rates[100] / rates[1]
        figures.append(Figure(f"{what}, 100 a call to single", faster, "x", tolerance=NOISE))
    return figures


@contextmanager
def opened(kind: ResourceKind, backend: str, config: dict[str, Any], mode: Mode) -> Iterator[Any]:
    """A store of any kind, past queue and route."""
    scope = Scope(kind=kind, tenant_id=TENANT, env=ENV)
    store = find_backend(kind, backend).open(AdapterContext(scope, mode, config))
    try:
        yield store
    finally:
        store.close()


def rates_of(
    kind: ResourceKind, store: Any, sizes: Sequence[int], seconds: float
) -> dict[int, float]:
    """By commands a call, the median of rounds in turns: what else the machine and its disk do
    is shared by all. So many seconds for each."""
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size, its in rates.items():
            its.append(rate_of(kind, store, size, seconds / ROUNDS))
    return {size: statistics.median(its) for size, its in rates.items()}


def rate_of(kind: ResourceKind, store: Any, size: int, seconds: float) -> float:
    """Items a second of the store's bulk method with so many commands a call.

    Commands are made beforehand, call by call, and their making is not counted.
    """
    many: Callable[[Sequence[tuple[Command, Call]]], list[Any]] = getattr(store, BULK[kind][1])
    many(items(kind, size))
    spent, done, end = 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        batch = items(kind, size)
        started = time.perf_counter()
        answers = many(batch)
        spent += time.perf_counter() - started
        if bad := [answer for answer in answers if isinstance(answer, SignalboxError)]:
            raise RuntimeError(f"{len(bad)} commands of {size} failed, the first: {bad[0]}")
        done += size
    return done / spent


def items(kind: ResourceKind, size: int) -> list[tuple[Command, Call]]:
    """New commands, each with one row, point or event, and their calls."""
    pairs = []
    for number in itertools.islice(_numbers, size):
        command = _command(kind, number)
        payloads = DirectoryPayloadStore(Path())  # for contents, of which there are none
        pairs.append((command, Call(command.op_id, number, False, lease_clock() + 60, payloads)))
    return pairs


def _command(kind: ResourceKind, number: int) -> Command:
    data = {"number": number, "name": f"name of {number}", "score": number / 7, "text": "x" * 100}
    if kind is ResourceKind.TABULAR_STORE:
        return UpsertRow(**_PLACE, table_name="bench", key=f"k{number:09}", data=data)
    if kind is ResourceKind.EVENT_STREAM:
        event = Event(type="bench.happened", data=data)
        return AppendEvent(**_PLACE, stream="bench", event=event)
    moment = BEGIN + timedelta(milliseconds=number)
    point = Point(series="cpu", timestamp=moment, value=number / 7, labels={"host": "a"})
    return IngestPoints(**_PLACE, points=[point])
