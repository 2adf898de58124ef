"""Writes of every kind a second by the embedded backend's adapters, singly and in bulk."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench
from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import SignalboxError
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import DeleteRow, UpsertRow

TENANT, ENV = "t_bench", "dev"
SIZES = (1, 100, 500)
ROUNDS = 5
ROWS_AIM = 15_000.0
"""Durable rows a second at 100 a batch."""
DATA = {"name": "a name", "score": 1 / 7, "text": "x" * 100}
CONTENT = bytes(range(256)) * 4
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_PLACE = {"tenant_id": TENANT, "env": ENV}
_numbers, _turns = itertools.count(1), itertools.count(1)


@dataclass(frozen=True)
class Work:
    """What is measured: commands of one verb, each with one object, row, point or event."""

    kind: ResourceKind
    what: str
    make: Callable[[int], Command]
    """A command, from a number that no other has."""
    before: Work | None = None
    """What the commands find, of the same numbers."""


def _put(number: int) -> PutObject:
    return PutObject(**_PLACE, key=f"bench/{number:09}", payload=InlinePayload(data=CONTENT))


def _delete(number: int) -> DeleteObject:
    return DeleteObject(**_PLACE, key=f"bench/{number:09}")


def _upsert(number: int) -> UpsertRow:
    data = {"number": number, **DATA}
    return UpsertRow(**_PLACE, table_name="bench", key=f"k{number:09}", data=data)


def _delete_row(number: int) -> DeleteRow:
    return DeleteRow(**_PLACE, table_name="bench", key=f"k{number:09}")


def _ingest(number: int) -> IngestPoints:
    moment = BEGIN + timedelta(milliseconds=number)
    point = Point(series="cpu", timestamp=moment, value=number / 7, labels={"host": "a"})
    return IngestPoints(**_PLACE, points=[point])


def _append(number: int) -> AppendEvent:
    event = Event(type="bench.happened", data={"number": number, **DATA})
    return AppendEvent(**_PLACE, stream="bench", event=event)


ROWS = Work(ResourceKind.TABULAR_STORE, "rows", _upsert)
PUTS = Work(ResourceKind.OBJECT_STORE, "puts", _put)
BULK = (
    ROWS,
    Work(ResourceKind.METRICS_STORE, "points", _ingest),
    Work(ResourceKind.EVENT_STREAM, "events", _append),
)
"""What every backend of its kind takes in bulk."""
EMBEDDED = (
    PUTS,
    Work(ResourceKind.OBJECT_STORE, "deletes of objects", _delete, PUTS),
    *BULK,
    Work(ResourceKind.TABULAR_STORE, "deletes of rows", _delete_row, ROWS),
)


def bulk_cost(bench: Bench) -> list[Figure]:
    """Durable: each call is synced before it answers. One thread."""
    figures = []
    for work in EMBEDDED:
        config = {"base_dir": str(bench.data)}
        with opened(work.kind, "filesystem", config, Mode.LAB) as store:
            rates = rates_of(work, store, SIZES, bench.seconds / 3)
        what = work.what
        for size, rate in rates.items():
            aim = ROWS_AIM if size == 100 and work is ROWS else None
            unit = f"{what.split()[0]}/s"
            figures.append(Figure(f"{what}, {size} a call", rate, unit, least=aim))
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


def rates_of(work: Work, store: Any, sizes: Sequence[int], seconds: float) -> dict[int, float]:
    """By commands a call, the median of rounds in turns: what else the machine and its disk do
    is shared by all. So many seconds for each."""
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(ROUNDS):
        for size, its in rates.items():
            its.append(rate_of(work, store, size, seconds / ROUNDS))
    return {size: statistics.median(its) for size, its in rates.items()}


def rate_of(work: Work, store: Any, size: int, seconds: float) -> float:
    """Items a second of the store's bulk method with so many commands a call.

    Commands, and what they find, are made beforehand, call by call, and that is not counted.
    """
    _run(work, store, size)
    spent, done, end = 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        spent += _run(work, store, size)
        done += size
    return done / spent


def _run(work: Work, store: Any, size: int) -> float:
    """Seconds that one call took."""
    numbers = list(itertools.islice(_numbers, size))
    if work.before is not None:
        _call(store, _items(work.before, numbers))
    items = _items(work, numbers)
    started = time.perf_counter()
    _call(store, items)
    return time.perf_counter() - started


def _call(store: Any, items: Sequence[tuple[Command, Call]]) -> None:
    answers = getattr(store, f"{items[0][0].verb}_many")(items)
    if bad := [answer for answer in answers if isinstance(answer, SignalboxError)]:
        raise RuntimeError(f"{len(bad)} commands of {len(items)} failed, the first: {bad[0]}")


def _items(work: Work, numbers: Sequence[int]) -> list[tuple[Command, Call]]:
    # No content is staged.
    payloads, deadline = DirectoryPayloadStore(Path()), lease_clock() + 60
    pairs = []
    for number in numbers:
        seq = next(_turns)
        pairs.append((work.make(number), Call(str(seq), seq, False, deadline, payloads)))
    return pairs
