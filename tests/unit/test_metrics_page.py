"""Windows and pages of points, against a computation that holds everything in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.metrics_page import EPOCH, from_micros, micros, page_of, read_from
from signalbox.commands.metrics_store import (
    Aggregation,
    PointsResult,
    PointValue,
    QueryPoints,
    WindowValue,
    canonical_labels,
)

MS = timedelta(milliseconds=1)
START = EPOCH - 7 * MS

times = st.integers(-9_000, 30_000).map(lambda us: EPOCH + timedelta(microseconds=us))
labels = st.dictionaries(st.sampled_from(["a", "é"]), st.sampled_from(["", "1", '"', "😀"]))
points = st.lists(
    st.builds(
        PointValue,
        timestamp=times,
        labels=labels,
        value=st.floats(-1e6, 1e6),
    ),
    max_size=25,
    unique_by=lambda point: (point.timestamp, canonical_labels(point.labels)),
).map(lambda made: sorted(made, key=_place))
questions = st.fixed_dictionaries(
    {
        "end": st.integers(1, 40).map(lambda n: START + n * MS),
        "labels": labels.map(lambda some: dict(list(some.items())[:1])),
        "limit": st.integers(1, 4),
    }
)
windows = st.fixed_dictionaries(
    {
        "aggregation": st.sampled_from(Aggregation),
        "window": st.none() | st.integers(1_000, 9_000).map(lambda n: timedelta(microseconds=n)),
        "group_by": st.sampled_from([[], ["a"], ["é", "a"]]),
    }
)


def _place(point: PointValue) -> tuple[datetime, bytes]:
    return (point.timestamp, canonical_labels(point.labels).encode())


def ask(**fields: Any) -> QueryPoints:
    fields = {"start": START, "end": START + 100 * MS} | fields
    return QueryPoints(tenant_id="t_a", env="dev", series="s", **fields)


def pages(stored: list[PointValue], **fields: Any) -> Iterator[PointsResult]:
    """Every page, each from no more than the points that a backend must give for it."""
    cursor: str | None = None
    while True:
        query = ask(cursor=cursor, **fields)
        first = read_from(query)
        page = page_of(query, (p for p in stored if first <= p.timestamp < query.end))
        assert len(page.points) + len(page.windows) <= query.limit
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def in_question(query: QueryPoints, stored: list[PointValue]) -> list[PointValue]:
    return [
        point
        for point in stored
        if query.start <= point.timestamp < query.end
        and query.labels.items() <= point.labels.items()
    ]


@given(points, questions)
def test_the_pages_are_all_points(stored: list[PointValue], fields: dict[str, Any]) -> None:
    got = [point for page in pages(stored, **fields) for point in page.points]
    assert got == in_question(ask(**fields), stored)


@given(points, questions, windows)
def test_the_pages_are_all_windows(
    stored: list[PointValue], fields: dict[str, Any], more: dict[str, Any]
) -> None:
    fields |= more
    got = [window for page in pages(stored, **fields) for window in page.windows]
    expected = naive(ask(**fields), stored)
    assert [(w.start, w.end, w.labels, w.count) for w in got] == [
        (w.start, w.end, w.labels, w.count) for w in expected
    ]
    for mine, theirs in zip(got, expected, strict=True):
        assert math.isclose(mine.value, theirs.value, rel_tol=1e-9, abs_tol=1e-6)


def naive(query: QueryPoints, stored: list[PointValue]) -> list[WindowValue]:
    """All windows, with exact sums."""
    groups: dict[tuple[int, bytes], list[PointValue]] = {}
    width = query.window // timedelta(microseconds=1) if query.window else None
    for point in in_question(query, stored):
        kept = {n: v for n, v in point.labels.items() if n in query.group_by}
        number = micros(point.timestamp) // width if width else 0
        groups.setdefault((number, canonical_labels(kept).encode()), []).append(point)
    answer = []
    for (number, _), group in sorted(groups.items()):
        values = [point.value for point in group]
        total = sum(map(Fraction, values))
        answer.append(
            WindowValue(
                start=max(query.start, from_micros(number * width)) if width else query.start,
                end=min(query.end, from_micros((number + 1) * width)) if width else query.end,
                labels={n: v for n, v in group[0].labels.items() if n in query.group_by},
                count=len(group),
                value={
                    Aggregation.SUM: float(total),
                    Aggregation.COUNT: float(len(group)),
                    Aggregation.MIN: min(values),
                    Aggregation.MAX: max(values),
                    Aggregation.AVG: float(total / len(group)),
                    Aggregation.LAST: values[-1],
                }[query.aggregation or Aggregation.SUM],
            )
        )
    return answer
