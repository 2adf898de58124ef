"""Bulk ingests: an answer for each command, and no error of one affects another."""

from __future__ import annotations

from datetime import timedelta

from signalbox.commands.metrics_store import IngestResult
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.store_caller import codes

KIND = ResourceKind.METRICS_STORE


def test_nothing_is_answered_with_nothing(metrics: MetricsCaller) -> None:
    assert metrics.store.ingest_many([]) == []


def test_many_commands_are_answered_each_in_its_place(metrics: MetricsCaller) -> None:
    items = [metrics.item(*(point(n, n, host=f"{h}") for h in range(n + 1))) for n in range(9)]
    assert metrics.store.ingest_many(items) == [IngestResult(points=n + 1) for n in range(9)]
    assert [window.count for window in metrics.windows("count", window=timedelta(seconds=1))] == [
        n + 1 for n in range(9)
    ]


def test_many_commands_may_share_a_point_and_the_last_accepted_gives_its_value(
    metrics: MetricsCaller,
) -> None:
    calls = [metrics.call() for _ in range(6)]
    order = [3, 0, 5, 1, 4, 2]
    items = [metrics.item(point(n, 0), point(n, n + 1), call=calls[n]) for n in order]
    assert codes(metrics.store.ingest_many(items)) == ["OK"] * 6
    assert metrics.values() == [5, 0, 1, 2, 3, 4, 5]


def test_a_lease_that_ran_out_spoils_no_other_command(metrics: MetricsCaller) -> None:
    items = [
        metrics.item(point(1, 1)),
        metrics.item(point(2, 2), point(9, 1), call=metrics.late()),
        metrics.item(point(3, 3)),
    ]
    answers = metrics.store.ingest_many(items)
    assert codes(answers) == ["OK", "LEASE_EXPIRED", "OK"]
    assert metrics.values() == [1, 3]
