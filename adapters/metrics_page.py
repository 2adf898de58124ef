"""Pages of a metrics query: raw points or aggregated windows, for every backend.

A backend yields the points of the range in order; this module processes them in one pass and holds
the groups of one window in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from signalbox.adapters.cursor import cursor_refused, make_cursor, open_cursor
from signalbox.commands.error import InvalidCommand
from signalbox.commands.metrics_store import (
    Aggregation,
    PointsResult,
    PointValue,
    QueryPoints,
    WindowValue,
    canonical_labels,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESOLUTION = timedelta(microseconds=1)
_SCALE = 2.0**-64


def micros(timestamp: datetime) -> int:
    """Return exact microseconds since 1970-01-01T00:00Z, negative before it."""
    return (timestamp - EPOCH) // _RESOLUTION


def from_micros(micros: int) -> datetime:
    """Return the time of `micros`."""
    return EPOCH + micros * _RESOLUTION


def read_from(query: QueryPoints) -> datetime:
    """Return the first timestamp of this page, from which on a backend must yield points.

    They end before `query.end`. Raises InvalidCommand for a cursor of another query.
    """
    return _start_of_page(query)[0]


def page_of(query: QueryPoints, points: Iterable[PointValue]) -> PointsResult:
    """Return the page, made of the points from `read_from(query)` to before `query.end`.

    They come in the order of timestamp, then canonical labels as UTF-8, each point once; points
    without the query's labels may be included. Only what the page needs is read.
    """
    wanted = (
        point
        for point in points
        if all(point.labels.get(name) == value for name, value in query.labels.items())
    )
    if query.aggregation is None:
        return _points(query, wanted)
    return _windows(query, query.aggregation, wanted)


def _points(query: QueryPoints, points: Iterable[PointValue]) -> PointsResult:
    start, after_labels = _start_of_page(query)
    page: list[PointValue] = []
    for point in points:
        if (
            point.timestamp == start
            and after_labels
            and _spelling(point.labels) <= after_labels.encode()
        ):
            continue
        if len(page) == query.limit:
            last = page[-1]
            position = [micros(last.timestamp), canonical_labels(last.labels)]
            return PointsResult(points=page, next_cursor=make_cursor(query, position))
        page.append(point)
    return PointsResult(points=page)


def _windows(
    query: QueryPoints, aggregation: Aggregation, points: Iterable[PointValue]
) -> PointsResult:
    start, after_labels = _start_of_page(query)
    page: list[WindowValue] = []
    for window in _folded(query, aggregation, points):
        if (
            window.start == start
            and after_labels
            and _spelling(window.labels) <= after_labels.encode()
        ):
            continue
        if len(page) == query.limit:
            last = page[-1]
            position = [micros(last.start), canonical_labels(last.labels)]
            return PointsResult(windows=page, next_cursor=make_cursor(query, position))
        page.append(window)
    return PointsResult(windows=page)


@dataclass
class _Group:
    """The points of one window with the same labels."""

    labels: dict[str, str]
    count: int = 0
    total: float = 0.0
    scaled: float = 0.0
    """The total times `_SCALE`, which cannot overflow."""
    minimum: float = float("inf")
    maximum: float = float("-inf")
    last: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.scaled += value * _SCALE
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.last = value

    def value(self, aggregation: Aggregation) -> float:
        values = {
            Aggregation.SUM: self._sum(),
            Aggregation.COUNT: float(self.count),
            Aggregation.MIN: self.minimum,
            Aggregation.MAX: self.maximum,
            Aggregation.AVG: self._average(),
            Aggregation.LAST: self.last,
        }
        if not math.isfinite(values[aggregation]):
            raise InvalidCommand(
                "the sum of a window is over what a float holds",
                next_step="take avg, or narrower windows",
            )
        return values[aggregation]

    def _sum(self) -> float:
        # A sum that overflowed meanwhile may be in range again.
        return self.total if math.isfinite(self.total) else self.scaled / _SCALE

    def _average(self) -> float:
        scaled = self.scaled / self.count / _SCALE
        average = self.total / self.count if math.isfinite(self.total) else scaled
        # Rounding may have left the range of the values.
        return min(max(average, self.minimum), self.maximum)


def _folded(
    query: QueryPoints, aggregation: Aggregation, points: Iterable[PointValue]
) -> Iterator[WindowValue]:
    number: int | None = None
    groups: dict[str, _Group] = {}
    for point in points:
        window_number = micros(point.timestamp) // _width(query) if query.window else 0
        if window_number != number:
            yield from _closed(query, aggregation, number, groups)
            number, groups = window_number, {}
        labels = {name: point.labels[name] for name in query.group_by if name in point.labels}
        groups.setdefault(canonical_labels(labels), _Group(labels)).add(point.value)
    yield from _closed(query, aggregation, number, groups)


def _closed(
    query: QueryPoints, aggregation: Aggregation, number: int | None, groups: dict[str, _Group]
) -> Iterator[WindowValue]:
    start, end = query.start, query.end
    if query.window and number is not None:
        first = number * _width(query)
        # Limited to the query's range; compared as numbers, because of years 1 and 9999.
        start = from_micros(max(first, micros(start)))
        end = from_micros(min(first + _width(query), micros(end)))
    for spelling in sorted(groups, key=str.encode):
        group = groups[spelling]
        yield WindowValue(
            start=start,
            end=end,
            labels=group.labels,
            value=group.value(aggregation),
            count=group.count,
        )


def _width(query: QueryPoints) -> int:
    assert query.window is not None  # noqa: S101 - for the type checker; callers have checked it
    return query.window // _RESOLUTION


def _start_of_page(query: QueryPoints) -> tuple[datetime, str]:
    """Return timestamp (a window's start) and labels of the last item of the previous page."""
    if query.cursor is None:
        return query.start, ""
    position = open_cursor(query, query.cursor)
    try:
        at, labels = position
        found = from_micros(int(at))
        labels.encode()
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise cursor_refused() from None
    if not query.start <= found < query.end:
        raise cursor_refused()
    return found, labels


def _spelling(labels: dict[str, str]) -> bytes:
    return canonical_labels(labels).encode()
