"""Pages of points and windows: together they contain each once; a cursor fits only its query."""

from __future__ import annotations

import base64
import json
import math
from datetime import timedelta
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import DAY, MetricsCaller, OpenMetrics, point
from signalbox.testing.sample_points import SAMPLE_POINTS, in_order, ingest_samples

KIND = ResourceKind.METRICS_STORE

SECOND = timedelta(seconds=1)


@pytest.fixture
def field(metrics: MetricsCaller) -> MetricsCaller:
    ingest_samples(metrics)
    return metrics


@pytest.mark.parametrize("limit", [5, 41, 42, 43])
def test_pages_of_points_hold_each_once(field: MetricsCaller, limit: int) -> None:
    pages = list(field.pages(limit=limit))
    assert [p.value for page in pages for p in page.points] == [
        p.value for p in in_order(SAMPLE_POINTS)
    ]
    assert all(len(page.points) == limit for page in pages[:-1])
    assert len(pages) == math.ceil(len(SAMPLE_POINTS) / limit)


def test_points_of_one_time_are_cut_between_pages(metrics: MetricsCaller) -> None:
    hosts = [f"h{n:02}" for n in range(9)]
    metrics.ingest(*(point(n, 0, host=host) for n, host in enumerate(hosts)))
    for limit in (1, 2, 8, 9):
        assert [p.labels["host"] for p in metrics.points(limit=limit)] == hosts


@pytest.mark.parametrize("limit", [2, 3, 7])
def test_pages_of_windows_hold_each_once(field: MetricsCaller, limit: int) -> None:
    query: dict[str, Any] = {"window": 5 * SECOND, "group_by": ["zone"]}
    pages = list(field.pages(aggregation="sum", limit=limit, **query))
    assert [window for page in pages for window in page.windows] == field.windows("sum", **query)
    assert all(len(page.windows) == limit for page in pages[:-1])


def test_a_cursor_goes_on_though_points_come_before_and_behind_it(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, n) for n in range(0, 8, 2)))
    cursor = metrics.page(limit=2).next_cursor
    metrics.ingest(point(1, 1), point(3, 3))
    assert [p.value for p in metrics.page(cursor=cursor).points] == [3, 4, 6]


def test_a_large_answer_is_read_in_pages(metrics: MetricsCaller) -> None:
    metrics.ingest(*(point(n, n / 100, host="a") for n in range(700)))
    for limit in (300, 699, 10_000):
        assert metrics.values(limit=limit) == list(range(700))


@pytest.mark.parametrize(
    "other",
    [
        {"series": "other"},
        {"start": DAY - SECOND},
        {"end": DAY + SECOND},
        {"labels": {"host": "a"}},
        {"aggregation": "sum"},
    ],
    ids=str,
)
def test_a_cursor_of_another_query_is_refused(field: MetricsCaller, other: dict[str, Any]) -> None:
    cursor = field.page(limit=2).next_cursor
    with pytest.raises(InvalidCommand):
        field.page(cursor=cursor, **other)


@pytest.mark.parametrize("cursor", ["", "x", "ünicode", "../../..", "AAAA", "e30="])
def test_a_forged_cursor_is_refused(field: MetricsCaller, cursor: str) -> None:
    for aggregation in (None, "sum"):
        with pytest.raises(InvalidCommand) as refused:
            field.page(cursor=cursor, aggregation=aggregation)
        assert refused.value.next_step


@pytest.mark.parametrize(
    "position", [None, 0, [], [0], ["a", ""], [0, 0], [10**30, ""], [0, ""], [2**62, ""]], ids=str
)
def test_a_cursor_with_another_position_reaches_nothing_more(
    field: MetricsCaller, position: Any
) -> None:
    cursor = field.page(limit=1).next_cursor
    assert cursor is not None
    binding, _ = json.loads(base64.urlsafe_b64decode(cursor))
    forged = base64.urlsafe_b64encode(json.dumps([binding, position]).encode()).decode()
    with pytest.raises(InvalidCommand):
        field.page(cursor=forged)


def test_a_cursor_of_a_neighbour_is_refused(
    field: MetricsCaller, open_metrics: OpenMetrics, tenant: str
) -> None:
    questions: list[dict[str, Any]] = [{}, {"aggregation": "sum", "window": SECOND}]
    for fields in questions:
        cursor = field.page(limit=1, **fields).next_cursor
        for other in ((f"{tenant}b", "dev"), (tenant, "prod")):
            with pytest.raises(InvalidCommand):
                open_metrics(*other).page(cursor=cursor, **fields)
