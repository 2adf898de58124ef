"""Ingesting points: series, labels and timestamp identify a point, however they are spelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from signalbox.commands.error import InvalidCommand, InvalidKey
from signalbox.commands.metrics_store import IngestPoints, Point, canonical_labels
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import DAY, MetricsCaller, point
from signalbox.testing.typed_values import exact

KIND = ResourceKind.METRICS_STORE

ODD_NAMES = [
    *(".", "..", "a/b", "__name__", "a.b", " a ", "a%2Fb", "a#b", "`a`", "'a'", '"a"', "*", "{}"),
    *("CaSe", "case", "é", "e\u0301", "🚂", "\uffff", "\U0010ffff", "x" * 256, "é" * 128, "$a"),
]
MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 0, 1, UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 1, UTC),
    DAY,
    DAY + timedelta(microseconds=1),
    datetime(9999, 12, 31, 23, 59, 59, 999_998, UTC),
]
VALUES = [0.0, -0.0, 1.0, 0.1 + 0.2, -1.5, 1e300, 1.7976931348623157e308, -5e-324, 2.0**63]


def test_a_point_comes_back_as_it_was_given(metrics: MetricsCaller) -> None:
    metrics.ingest(point(0.5, 1, host="a", zone="b"))
    (found,) = metrics.points()
    assert found.timestamp == DAY + timedelta(seconds=1)
    assert (found.value, found.labels) == (0.5, {"host": "a", "zone": "b"})


def test_values_come_back_to_the_last_bit(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(value, at) for at, value in enumerate(VALUES)))
    assert exact(metrics.values()) == exact(VALUES)


def test_times_come_back_to_the_microsecond(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, at) for n, at in enumerate(MOMENTS)))
    first, last = MOMENTS[0], datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
    found = metrics.points(start=first, end=last)
    assert [(p.timestamp, p.value) for p in found] == [(at, n) for n, at in enumerate(MOMENTS)]


def test_a_time_of_another_zone_is_the_same_time(metrics: MetricsCaller) -> None:
    zone = timezone(timedelta(hours=-5))
    metrics.ingest(point(1, DAY))
    metrics.ingest(point(2, DAY.astimezone(zone)))
    (found,) = metrics.points()
    assert (found.value, found.timestamp) == (2, DAY)


def test_an_ingest_may_be_repeated(metrics: MetricsCaller) -> None:
    points = [point(n, n, host="a") for n in range(3)]
    for _ in range(3):
        metrics.ingest(*points)
    assert metrics.values() == [0, 1, 2]


def test_a_later_value_corrects_a_point(metrics: MetricsCaller) -> None:
    metrics.ingest(point(1, 0, host="a"), point(2, 1, host="a"))
    metrics.ingest(point(9, 0, host="a"))
    assert metrics.values() == [9, 2]


def test_a_value_may_be_corrected_to_a_smaller_one_and_zero(metrics: MetricsCaller) -> None:
    for value in (5.0, -3.0, 0.0):
        metrics.ingest(point(value))
        assert metrics.values() == [value]


def test_the_order_of_labels_does_not_matter(metrics: MetricsCaller) -> None:
    metrics.ingest(point(1, a="1", b="2"))
    metrics.ingest(point(2, b="2", a="1"))
    (found,) = metrics.points()
    assert (found.value, found.labels) == (2, {"a": "1", "b": "2"})


@pytest.mark.parametrize(
    "labels",
    [
        [{}, {"a": ""}, {"a": "", "b": ""}],
        [{"a": "b", "c": "d"}, {"a": 'b","c":"d'}, {"a": "b,c=d"}, {"a": "b", "c=d": ""}],
        [{"a": "1"}, {"A": "1"}, {"a": "1 "}, {"a": "01"}, {"a": "１"}],
        [{"a": "é"}, {"a": "e\u0301"}, {"é": "a"}, {"e\u0301": "a"}],
        [{"a": "x/y"}, {"a": "x%2Fy"}, {"a": "x\\y"}, {"a": "x\ny"}, {"a": "\0"}, {"a": "\\u0000"}],
        [{"a": "x" * 1000 + "1"}, {"a": "x" * 1000 + "2"}, {"a": "🚂" * 250}],
        [{f"l{n}": f"{n}" for n in range(32)}, {f"l{n}": f"{n}" for n in range(31)}],
        [{name: "v"} for name in ODD_NAMES],
        [{"v": name} for name in ODD_NAMES],
    ],
    ids=["none", "joined", "near", "accents", "escapes", "long", "many", "names", "values"],
)
def test_points_of_different_labels_are_different_points(
    metrics: MetricsCaller, labels: list[dict[str, str]]
) -> None:
    metrics.ingest(
        *(Point(series="cpu", timestamp=DAY, value=n, labels=each) for n, each in enumerate(labels))
    )
    expected = sorted(enumerate(labels), key=lambda pair: canonical_labels(pair[1]).encode())
    assert [(p.value, p.labels) for p in metrics.points()] == expected
    assert [(p.value, p.labels) for p in metrics.points(limit=2)] == expected


def test_odd_series_stay_apart(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, series=name) for n, name in enumerate(ODD_NAMES)))
    for number, name in enumerate(ODD_NAMES):
        assert metrics.values(series=name) == [number]


def test_one_command_holds_a_thousand_points(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, n / 10, host=f"h{n % 7}") for n in range(1000)))
    assert metrics.values() == list(range(1000))
    assert [window.value for window in metrics.windows("sum")] == [999 * 500]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_value(value: float) -> None:
    with pytest.raises(ValidationError):
        point(value)


@pytest.mark.parametrize(
    "fields",
    [
        {"series": ""},
        {"series": "a\0"},
        {"series": "x" * 257},
        {"labels": {"": "a"}},
        {"labels": {"a\n": "a"}},
        {"labels": {"a": "\ud800"}},
        {"labels": {"a": "x" * 1024}},
        {"labels": {f"l{n}": "" for n in range(33)}},
        {"timestamp": datetime(2026, 1, 31)},
        {"timestamp": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
    ],
    ids=lambda fields: repr(fields)[:40],
)
def test_what_is_no_point_is_refused_before_the_backend(fields: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, InvalidCommand, InvalidKey)):
        Point(**{"series": "cpu", "timestamp": DAY, "value": 1.0} | fields)


def test_a_command_names_no_point_twice(metrics: MetricsCaller) -> None:
    twice = [point(1, a="1", b="2"), point(2, b="2", a="1")]
    with pytest.raises(ValidationError):
        IngestPoints(**metrics.scope_fields, points=twice)


def test_of_writers_side_by_side_the_last_accepted_stands(metrics: MetricsCaller) -> None:
    calls = [metrics.call() for _ in range(20)]

    def write(number: int) -> None:
        metrics.ingest(point(number), call=calls[number])

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(write, reversed(range(20))))
    assert metrics.values() == [19]
