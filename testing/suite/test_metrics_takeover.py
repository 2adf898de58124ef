"""Late and repeated ingests: the newer command's value of a point is kept."""

from __future__ import annotations

import pytest

from signalbox.commands.error import LeaseExpired
from signalbox.commands.scope import ResourceKind
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.store_caller import Acceptance, overtaken

KIND = ResourceKind.METRICS_STORE

late_in_both_ways = pytest.mark.parametrize("takeover", [False, True], ids=["woken", "takeover"])


@late_in_both_ways
def test_a_late_value_leaves_a_newer_one(metrics: MetricsCaller, takeover: bool) -> None:
    acceptance = Acceptance()
    metrics.ingest(point(2, host="a"))
    with overtaken(takeover):
        metrics.ingest(point(1, host="a"), call=metrics.call(acceptance, takeover=takeover))
    assert metrics.values() == [2]


@late_in_both_ways
def test_a_late_command_still_stores_what_no_one_else_did(
    metrics: MetricsCaller, takeover: bool
) -> None:
    acceptance = Acceptance()
    metrics.ingest(point(9, 1), point(9, 3))
    call = metrics.call(acceptance, takeover=takeover)
    metrics.ingest(*(point(1, at) for at in range(5)), call=call)
    assert metrics.values() == [1, 9, 1, 9, 1]


@late_in_both_ways
def test_a_late_bulk_leaves_what_is_newer(metrics: MetricsCaller, takeover: bool) -> None:
    acceptances = [Acceptance(), Acceptance()]
    metrics.ingest(point(9, 0), point(9, 2))
    calls = [metrics.call(acceptance, takeover=takeover) for acceptance in acceptances]
    metrics.store.ingest_many(
        [
            metrics.item(point(1, 0), point(1, 1), call=calls[0]),
            metrics.item(point(2, 1), point(2, 2), point(2, 3), call=calls[1]),
        ]
    )
    assert metrics.values() == [9, 2, 9, 2]


@late_in_both_ways
def test_an_ingest_that_was_done_may_be_repeated(metrics: MetricsCaller, takeover: bool) -> None:
    acceptance = Acceptance()
    points = [point(n, n) for n in range(3)]
    metrics.ingest(*points, call=metrics.call(acceptance))
    metrics.ingest(*points, call=metrics.call(acceptance, takeover=takeover))
    assert metrics.values() == [0, 1, 2]


def test_a_repetition_does_not_undo_a_correction(metrics: MetricsCaller) -> None:
    acceptance = Acceptance()
    metrics.ingest(point(1, 0), point(1, 1), call=metrics.call(acceptance))
    metrics.ingest(point(2, 1))
    metrics.ingest(point(1, 0), point(1, 1), call=metrics.call(acceptance, takeover=True))
    assert metrics.values() == [1, 2]


def test_a_repetition_stores_the_rest_of_what_stopped_half_way(metrics: MetricsCaller) -> None:
    acceptance = Acceptance()
    metrics.ingest(point(0, 0), point(1, 1), call=metrics.call(acceptance))
    call = metrics.call(acceptance, takeover=True)
    metrics.ingest(*(point(n, n) for n in range(5)), call=call)
    assert metrics.values() == [0, 1, 2, 3, 4]


def test_a_late_value_does_not_count_twice(metrics: MetricsCaller) -> None:
    acceptance = Acceptance()
    metrics.ingest(point(2))
    metrics.ingest(point(1), call=metrics.call(acceptance, takeover=True))
    (window,) = metrics.windows("sum")
    assert (window.value, window.count) == (2, 1)


def test_a_lease_that_ran_out_has_no_effect(metrics: MetricsCaller) -> None:
    metrics.ingest(point(1, 0))
    with pytest.raises(LeaseExpired) as refused:
        metrics.ingest(point(2, 0), point(2, 1), call=metrics.late())
    assert refused.value.temporary
    assert metrics.values() == [1]
