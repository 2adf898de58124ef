"""Queries of points and windows, compared with a naive computation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox.commands.metrics_store import canonical_labels
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import DAY, MetricsCaller, point
from signalbox.testing.sample_points import SAMPLE_POINTS, in_order, ingest_samples

KIND = ResourceKind.METRICS_STORE

SECOND = timedelta(seconds=1)
AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "count": len,
    "min": min,
    "max": max,
    "avg": lambda values: math.fsum(values) / len(values),
    "last": lambda values: values[-1],
}
Expected = tuple[datetime, datetime, dict[str, str], int, Any]


def naive(
    aggregation: str,
    start: datetime,
    end: datetime,
    window: timedelta | None = None,
    group_by: tuple[str, ...] = (),
) -> list[Expected]:
    """What the windows come to, computed from whole lists."""
    groups: dict[tuple[datetime, datetime, str], list[float]] = {}
    for each in in_order(SAMPLE_POINTS):
        if not start <= each.timestamp < end:
            continue
        first, last = start, end
        if window is not None:
            epoch = datetime(1970, 1, 1, tzinfo=UTC)
            begin = epoch + (each.timestamp - epoch) // window * window
            first, last = max(begin, start), min(begin + window, end)
        labels = {name: each.labels[name] for name in group_by if name in each.labels}
        groups.setdefault((first, last, canonical_labels(labels)), []).append(each.value)
    fold = AGGREGATIONS[aggregation]
    return [
        (first, last, json.loads(labels), len(values), pytest.approx(fold(values)))
        for (first, last, labels), values in sorted(
            groups.items(), key=lambda group: (group[0][0], group[0][2].encode())
        )
    ]


@pytest.fixture
def field(metrics: MetricsCaller) -> MetricsCaller:
    ingest_samples(metrics)
    return metrics


def windows(metrics: MetricsCaller, aggregation: str, **fields: Any) -> list[Expected]:
    return [
        (window.start, window.end, window.labels, window.count, window.value)
        for window in metrics.windows(aggregation, **fields)
    ]


def test_points_come_in_the_order_of_time_then_labels(field: MetricsCaller) -> None:
    field.ingest(
        *(point(n, 0, host=host) for n, host in enumerate(["z", "é", "b", "😀", "\uffff"]))
    )
    found = field.points()
    expected = [canonical_labels({"host": host}) for host in ("b", "z", "é", "\uffff", "😀")]
    alike = [canonical_labels(p.labels) for p in found if p.timestamp == DAY]
    assert alike == sorted([*expected, canonical_labels(SAMPLE_POINTS[0].labels)], key=str.encode)
    assert [p.timestamp for p in found] == sorted(p.timestamp for p in found)
    assert len(found) == len(SAMPLE_POINTS) + 5


def test_a_range_holds_its_start_and_not_its_end(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, n) for n in range(5)))
    start, end = DAY + SECOND, DAY + 3 * SECOND
    tick = timedelta(microseconds=1)
    assert metrics.values(start=start, end=end) == [1, 2]
    assert metrics.values(start=start + tick, end=end + tick) == [2, 3]
    assert metrics.values(start=start - tick, end=start) == []
    assert metrics.values(start=start, end=start + tick) == [1]


def test_a_range_may_be_all_of_time(metrics: MetricsCaller) -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
    metrics.ingest(point(1, first), point(2, DAY), point(3, last))
    assert metrics.values(start=first, end=last) == [1, 2]
    for window in (None, timedelta(days=3_000_000), timedelta(days=1)):
        found = metrics.windows("sum", start=first, end=last, window=window)
        assert sum(each.value for each in found) == 3
        assert (found[0].start, found[-1].end <= last) == (first, True)


@pytest.mark.parametrize("aggregation", [None, *AGGREGATIONS])
def test_where_nothing_is_there_is_nothing(field: MetricsCaller, aggregation: str | None) -> None:
    for nothing in (
        {"series": "missing"},
        {"start": DAY - timedelta(days=1), "end": DAY},
        {"labels": {"host": "none"}},
        {"labels": {"none": "a"}},
    ):
        page = field.page(aggregation=aggregation, **nothing)
        assert (page.points, page.windows, page.next_cursor) == ([], [], None)


def test_series_do_not_mix(metrics: MetricsCaller) -> None:
    names = ["a", "aa", "a/b", "a.b", "A", "a ", "b"]
    metrics.ingest(*(point(n, m, series=name) for n, name in enumerate(names) for m in range(2)))
    for number, name in enumerate(names):
        assert metrics.values(series=name) == [number] * 2
        assert [w.value for w in metrics.windows("sum", series=name)] == [2 * number]


@pytest.mark.parametrize(
    "labels", [{"host": "a"}, {"zone": "x"}, {"host": "b", "zone": "y"}, {"host": ""}], ids=str
)
def test_points_must_have_the_labels_asked_for(
    field: MetricsCaller, labels: dict[str, str]
) -> None:
    expected = [p.value for p in in_order(SAMPLE_POINTS) if labels.items() <= p.labels.items()]
    assert field.values(labels=labels) == expected
    assert field.values(labels=labels, limit=3) == expected
    (count,) = [w.value for w in field.windows("count", labels=labels)] or [0]
    assert count == len(expected)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_an_aggregation_is_what_a_naive_one_is(field: MetricsCaller, aggregation: str) -> None:
    start, end = DAY + 0.9 * SECOND, DAY + 20 * SECOND
    for window in (None, 5 * SECOND, timedelta(milliseconds=1), timedelta(hours=1)):
        for group_by in ((), ("host",), ("zone", "host", "none")):
            query: dict[str, Any] = {"start": start, "end": end, "window": window}
            expected = naive(aggregation, group_by=group_by, **query)
            found = windows(field, aggregation, group_by=list(group_by), **query)
            assert found == expected, (window, group_by)


def test_a_window_is_cut_off_at_the_range(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(1, at) for at in range(30)))
    start, end = DAY + 7 * SECOND, DAY + 24 * SECOND
    found = windows(metrics, "sum", start=start, end=end, window=10 * SECOND)
    edges = [start, DAY + 10 * SECOND, DAY + 20 * SECOND, end]
    assert found == [
        (first, last, {}, count, count)
        for first, last, count in zip(edges, edges[1:], (3, 10, 4), strict=False)
    ]


def test_windows_before_1970_begin_at_multiples_too(metrics: MetricsCaller) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    metrics.ingest(*(point(n, epoch + n * SECOND) for n in (-11, -10, -1, 0, 9, 10)))
    found = metrics.windows(
        "count", start=epoch - timedelta(days=1), end=epoch + timedelta(days=1), window=10 * SECOND
    )
    assert [((w.start - epoch) // SECOND, w.count) for w in found] == [
        *((-20, 1), (-10, 2), (0, 2), (10, 1))
    ]


def test_windows_without_points_are_left_out(metrics: MetricsCaller) -> None:
    metrics.ingest(point(1, 0), point(2, 86_000))
    found = metrics.windows("sum", window=SECOND)
    assert [(w.start - DAY, w.value) for w in found] == [(0 * SECOND, 1), (86_000 * SECOND, 2)]
