"""Series on SQLite: what the conformance suite cannot see."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.filesystem.metrics_driver import FilesystemMetricsDriver
from signalbox.adapters.metrics_store import MetricsStore
from signalbox.adapters.port import Call
from signalbox.commands.error import SignalboxError
from signalbox.commands.metrics_store import (
    Aggregation,
    IngestPoints,
    IngestResult,
    Point,
    PointsResult,
    QueryPoints,
    canonical_labels,
)
from signalbox.commands.scope import ResourceKind, Scope
from tests.unit.filesystem.object_files import call_of, commits

HERE = {"tenant_id": "t_a", "env": "dev"}
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricsStore]:
    scope = Scope(kind=ResourceKind.METRICS_STORE, **HERE)
    with closing(MetricsStore(FilesystemMetricsDriver(str(tmp_path / "base"), scope))) as store:
        yield store


def point(at: int = 0, value: float = 1, series: str = "cpu", **labels: str) -> Point:
    return Point(series=series, timestamp=START + at * SECOND, value=value, labels=labels)


def ingest(*points: Point) -> IngestPoints:
    return IngestPoints(**HERE, points=list(points))


def items(*commands: IngestPoints, **fields: Any) -> list[tuple[IngestPoints, Call]]:
    return [(command, call_of(command, **fields)) for command in commands]


def put(store: MetricsStore, *points: Point, **fields: Any) -> None:
    command = ingest(*points)
    assert store.ingest(command, call_of(command, **fields)).points == len(points)


def query(store: MetricsStore, **fields: Any) -> PointsResult:
    span = {"start": START, "end": START + 3600 * SECOND, "limit": 10_000}
    command = QueryPoints(**HERE, **({"series": "cpu"} | span | fields))
    return store.query(command, call_of(command))


def values(store: MetricsStore, **fields: Any) -> list[float]:
    return [found.value for found in query(store, **fields).points]


def test_a_bulk_is_one_commit(store: MetricsStore, own: Path) -> None:
    put(store, point())
    with commits(own / "metrics.db") as counted:
        store.ingest_many(items(*[ingest(point(n), point(n, host="a")) for n in range(100)]))
    assert counted() == 1
    assert len(query(store).points) == 200


def test_a_command_whose_lease_ran_out_stores_nothing_and_spoils_no_other(
    store: MetricsStore, own: Path
) -> None:
    late = ingest(point(2, series="late", host="late"))
    bulk = [*items(ingest(point(1))), (late, call_of(late, seconds=-1)), *items(ingest(point(3)))]
    answers = store.ingest_many(bulk)
    assert [type(answer) is IngestResult for answer in answers] == [True, False, True]
    assert isinstance(answers[1], SignalboxError)
    assert (answers[1].code, answers[1].tenant_id) == ("LEASE_EXPIRED", "t_a")
    assert len(query(store).points) == 2
    with closing(apsw.Connection(str(own / "metrics.db"))) as database:
        assert list(database.execute("SELECT name FROM series")) == [("cpu",)]


def test_the_value_accepted_last_stands_in_whichever_order(store: MetricsStore) -> None:
    put(store, point(value=3), seq=30)
    put(store, point(value=2), point(1, value=2), seq=20, takeover=True)
    assert values(store) == [3, 2]
    put(store, point(value=4), seq=40)
    put(store, point(value=4), seq=40, takeover=True)
    assert values(store) == [4, 2]
    first, second = ingest(point(value=6)), ingest(point(value=5))
    store.ingest_many([(first, call_of(first, seq=60)), (second, call_of(second, seq=50))])
    assert values(store) == [6, 2]


@pytest.mark.parametrize("value", [-0.0, 0.0, 1.0, 5e-324, -1.7976931348623157e308, 0.1 + 0.2])
def test_a_value_comes_back_to_its_last_bit(store: MetricsStore, value: float) -> None:
    put(store, point(value=value))
    [found] = values(store)
    assert (type(found), repr(found)) == (float, repr(value))


def test_points_of_one_time_come_in_the_order_of_their_labels(
    store: MetricsStore,
) -> None:
    sets = [{"a": text} for text in ("z", "", "é", "￿", "😀", '"', "\0", "\\", "a")]
    sets += [{}, {"b": "1"}, {"a": "a", "b": "1"}, {'"': "x"}, {"\\": "x"}]
    now = [Point(series="cpu", timestamp=START, value=1, labels=labels) for labels in sets]
    put(store, *now, point(1), point(-1))
    found = [p.labels for p in query(store).points]
    spelled = sorted(sets, key=lambda labels: canonical_labels(labels).encode())
    assert found == [*spelled, {}]
    paged: list[dict[str, str]] = []
    cursor: str | None = None
    while page := query(store, limit=4, cursor=cursor):
        paged += [p.labels for p in page.points]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == found
    for labels in sets:
        matching = [each for each in spelled if labels.items() <= each.items()]
        got = query(store, labels=labels, end=START + SECOND).points
        assert [p.labels for p in got] == matching


def test_a_long_range_is_read_in_bounded_memory(store: MetricsStore) -> None:
    hosts = [f"host-{n}" for n in range(10)]
    for part in range(40):
        commands = [
            ingest(*[point(part * 100 + n, value=n, host=host) for host in hosts])
            for n in range(100)
        ]
        store.ingest_many(items(*commands))
    fields: dict[str, Any] = {
        "aggregation": Aggregation.COUNT,
        "window": timedelta(hours=1),
        "end": START + timedelta(hours=2),
    }
    query(store, **fields)
    tracemalloc.start()
    windows = query(store, **fields).windows
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [window.count for window in windows] == [36_000, 4_000]
    assert most < 1024 * 1024
