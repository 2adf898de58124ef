"""Commands to one scope's series, in few words."""

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
from signalbox.testing.turn import Caller

DAY = datetime(2026, 1, 31, tzinfo=UTC)
Item = tuple[IngestPoints, Call]


def point(
    value: float = 1.0, at: float | datetime = 0, *, series: str = "cpu", **labels: str
) -> Point:
    """A point `at` a time, or so many seconds into the day."""
    timestamp = at if isinstance(at, datetime) else DAY + timedelta(seconds=at)
    return Point(series=series, timestamp=timestamp, value=value, labels=labels)


@dataclass(frozen=True)
class MetricsDesk(Caller):
    """One scope's series; `cpu` on one day where nothing else is said."""

    store: MetricsStore

    def item(self, *points: Point, call: Call | None = None) -> Item:
        """An ingest, and the call that it comes with."""
        call = call or self.call()
        return IngestPoints(**self.place, op_id=call.mark, points=list(points)), call

    def ingest(self, *points: Point, call: Call | None = None) -> None:
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
        command = QueryPoints(**self.place, series=series, start=start, end=end, **fields)
        return self.store.query(command, call or self.call())

    def pages(self, **fields: Any) -> Iterator[PointsResult]:
        """Every page, from first to last."""
        cursor: str | None = None
        while True:
            page = self.page(cursor=cursor, **fields)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def points(self, **fields: Any) -> list[PointValue]:
        return [found for page in self.pages(**fields) for found in page.points]

    def values(self, **fields: Any) -> list[float]:
        return [found.value for found in self.points(**fields)]

    def windows(self, aggregation: str, **fields: Any) -> list[WindowValue]:
        pages = self.pages(aggregation=aggregation, **fields)
        return [window for page in pages for window in page.windows]


OpenMetricsDesk = Callable[..., MetricsDesk]
"""`(tenant, env, config)`, each with a default."""
