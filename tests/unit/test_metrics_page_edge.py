"""Windows at the ends of floats and of time, what a page reads, and cursors that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.cursor import make_cursor
from signalbox.adapters.metrics_page import from_micros, micros, page_of
from signalbox.commands.error import InvalidCommand
from signalbox.commands.metrics_store import Aggregation, PointValue
from tests.unit.test_metrics_page import MS, START, ask


def values_of(values: list[float], aggregation: Aggregation) -> float:
    stored = [
        PointValue(timestamp=START + n * MS, labels={}, value=value)
        for n, value in enumerate(values)
    ]
    (window,) = page_of(ask(aggregation=aggregation), stored).windows
    return window.value


HUGE = 1.7e308


def test_an_average_does_not_overflow_where_its_sum_would() -> None:
    assert values_of([HUGE, HUGE, HUGE], Aggregation.AVG) == HUGE
    assert values_of([-HUGE] * 4 + [HUGE] * 4, Aggregation.AVG) == pytest.approx(
        0, abs=HUGE * 1e-12
    )
    assert values_of([0.1] * 3, Aggregation.AVG) == 0.1


def test_a_sum_that_no_float_holds_is_an_error_and_no_infinity() -> None:
    with pytest.raises(InvalidCommand):
        values_of([HUGE, HUGE], Aggregation.SUM)
    assert values_of([HUGE, HUGE, -HUGE], Aggregation.SUM) == pytest.approx(HUGE)


def test_no_more_is_read_than_the_page_takes() -> None:
    read: list[int] = []

    def stored() -> Iterator[PointValue]:
        for number in range(1000):
            read.append(number)
            yield PointValue(timestamp=START + number * MS, labels={}, value=number)

    fields: dict[str, Any] = {"end": START + 1000 * MS, "limit": 2}
    assert len(page_of(ask(**fields), stored()).points) == 2
    assert len(read) == 3
    read.clear()
    ten = {"aggregation": Aggregation.SUM, "window": 10 * MS}
    assert len(page_of(ask(**fields, **ten), stored()).windows) == 2
    assert len(read) <= 31


def test_windows_reach_to_both_ends_of_time() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    stored = [PointValue(timestamp=first, labels={}, value=1)]
    for window in (timedelta(days=999), timedelta.max):
        query = ask(start=first, end=last, aggregation=Aggregation.SUM, window=window)
        (found,) = page_of(query, stored).windows
        assert (found.start, found.value) == (first, 1)


@given(st.datetimes(timezones=st.just(UTC)))
def test_micros_are_exact(time: datetime) -> None:
    assert from_micros(micros(time)) == time


@pytest.mark.parametrize(
    "position",
    [
        None,
        1,
        [],
        [1, "{}", 2],
        ["x", "{}"],
        [None, "{}"],
        [10**30, "{}"],
        [float("inf"), "{}"],
        [10**9, "{}"],
        [-(10**9), "{}"],
        [0, 1],
        [0, "\ud800"],
    ],
    ids=repr,
)
def test_a_forged_position_is_refused(position: Any) -> None:
    for fields in ({}, {"aggregation": Aggregation.SUM}):
        query = ask(**fields)
        forged = query.model_copy(update={"cursor": make_cursor(query, position)})
        with pytest.raises(InvalidCommand):
            page_of(forged, [])


def test_a_cursor_belongs_to_its_question() -> None:
    stored = [PointValue(timestamp=START + n * MS, labels={}, value=n) for n in range(3)]
    cursor = page_of(ask(limit=1), stored).next_cursor
    assert len(page_of(ask(limit=9, cursor=cursor), stored).points) == 2
    with pytest.raises(InvalidCommand):
        page_of(ask(cursor=cursor, labels={"a": "1"}), stored)
