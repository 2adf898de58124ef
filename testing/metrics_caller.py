"""Short commands to one metrics store, for the cases of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from signalbox.adapters.metrics_store import MetricsStore
from signalbox.adapters.port import Call
from signalbox.commands.metrics_store import (
    IngestPoints,
    Point,
    PointsResult,
    PointValue,
    QueryPoints,
    WindowValue,
)
from signalbox.testing.store_caller import StoreCaller

DAY = datetime(2026, 1, 31, tzinfo=UTC)
Item = tuple[IngestPoints, Call]


def point(
    value: float = 1.0, at: float | datetime = 0, *, series: str = "cpu", **labels: str
) -> Point:
    """Return a point at a time, or at so many seconds after the beginning of DAY."""
    timestamp = at if isinstance(at, datetime) else DAY + timedelta(seconds=at)
    return Point(series=series, timestamp=timestamp, value=value, labels=labels)


@dataclass(frozen=True)
class MetricsCaller(StoreCaller):
    """The series of one tenant and env; `cpu` on DAY by default."""

    store: MetricsStore

    def item(self, *points: Point, call: Call | None = None) -> Item:
        """Return an ingest and its call."""
        call = call or self.call()
        return IngestPoints(**self.scope_fields, op_id=call.mark, points=list(points)), call

    def ingest(self, *points: Point, call: Call | None = None) -> None:
        """Ingest points."""
        result = self.store.ingest(*self.item(*points, call=call))
        assert result.points == len(points)

    def page(
        self,
        series: str = "cpu",
        start: datetime = DAY,
        end: datetime = DAY + timedelta(days=1),
        *,
        call: Call | None = None,
        **fields: Any,
    ) -> PointsResult:
        """Return one page of a query."""
        command = QueryPoints(**self.scope_fields, series=series, start=start, end=end, **fields)
        return self.store.query(command, call or self.call())

    def pages(self, **fields: Any) -> Iterator[PointsResult]:
        """Yield all pages of a query."""
        cursor: str | None = None
        while True:
            page = self.page(cursor=cursor, **fields)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def points(self, **fields: Any) -> list[PointValue]:
        """Return the points of all pages."""
        return [found for page in self.pages(**fields) for found in page.points]

    def values(self, **fields: Any) -> list[float]:
        """Return the values of all points."""
        return [found.value for found in self.points(**fields)]

    def windows(self, aggregation: str, **fields: Any) -> list[WindowValue]:
        """Return the windows of all pages."""
        pages = self.pages(aggregation=aggregation, **fields)
        return [window for page in pages for window in page.windows]


OpenMetrics = Callable[..., MetricsCaller]
"""Opens a MetricsCaller: `(tenant, env, config)`, each with a default."""
