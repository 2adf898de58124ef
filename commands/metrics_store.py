"""The commands of a metrics store and their results."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from signalbox.commands.documented import Documented
from signalbox.commands.listing import ListNames, NamesResult
from signalbox.commands.model import Command, register
from signalbox.commands.name import LabelName, SeriesName
from signalbox.commands.result import Result, Returns
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import check_text
from signalbox.commands.vocabulary import Aggregation as Aggregation

MAX_POINTS = 1000
"""Maximum number of points in one ingest."""
MAX_LABELS = 32
MAX_LABEL_BYTES = 1024
"""Maximum size of all labels of a point, names and values together."""

Label = Annotated[str, Field(max_length=MAX_LABEL_BYTES), AfterValidator(check_text)]
Labels = dict[LabelName, Label]


class Point(Documented):
    """One measurement, identified by its series, labels and timestamp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    series: SeriesName
    """Name of the series."""
    timestamp: Timestamp
    """When it was measured, in UTC to the microsecond."""
    value: float = Field(allow_inf_nan=False)
    """The measured value."""
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    """Labels, at most 32 with 1,024 bytes in all."""

    @model_validator(mode="after")
    def _labels_fit(self) -> Point:
        if sum(len(n.encode()) + len(v.encode()) for n, v in self.labels.items()) > MAX_LABEL_BYTES:
            raise ValueError(f"labels are over {MAX_LABEL_BYTES} bytes")
        return self

    @property
    def identity(self) -> tuple[str, str, datetime]:
        """Series, labels and timestamp in a form that is equal for equal points."""
        return (self.series, canonical_labels(self.labels), self.timestamp)


class IngestResult(Result):
    """The answer to an ingest."""

    points: int
    """Number of points that were ingested."""


class PointValue(Result):
    """A stored point."""

    timestamp: Timestamp
    """When it was measured."""
    labels: dict[str, str]
    """All labels of the point."""
    value: float
    """The measured value."""


class WindowValue(Result):
    """The aggregated value of one group of points in one window."""

    start: Timestamp
    """Start of the window, included."""
    end: Timestamp
    """End of the window, excluded."""
    labels: dict[str, str]
    """The labels of `group_by` that the points of the group have."""
    value: float
    """The aggregated value."""
    count: int
    """Number of points in the group and window."""


class PointsResult(Result):
    """One page of points, or of windows if the query has an aggregation."""

    points: list[PointValue] = Field(default_factory=list)
    """Points ordered by timestamp, then labels; empty for a query with an aggregation."""
    windows: list[WindowValue] = Field(default_factory=list)
    """Windows ordered by start, then labels; empty for a query without an aggregation."""
    next_cursor: str | None = None
    """Pass as `cursor` for the next page; None on the last."""


class ListSeriesResult(NamesResult):
    """One page of series."""

    series: list[str]
    """Names of series."""


@register
class IngestPoints(Command, Returns[IngestResult]):
    """Store points. For an existing point, the value of the command accepted last counts."""

    op: Literal["metrics_store.ingest"] = "metrics_store.ingest"
    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    """The points, 1 to 1,000, no two with the same series, labels and timestamp."""

    @model_validator(mode="after")
    def _points_are_distinct(self) -> IngestPoints:
        if len(self.points) > 1 and len({p.identity for p in self.points}) < len(self.points):
            raise ValueError("two points have the same series, labels and timestamp")
        return self

    @property
    def subject(self) -> str:
        first = self.points[0].series
        return first if len(self.points) == 1 else f"{first} and {len(self.points) - 1} more"


@register
class QueryPoints(Command, Returns[PointsResult]):
    """Read one page of the points of a series from `start` until before `end`, or aggregate them.

    Points are ordered by timestamp, then labels. With `aggregation` the result has one value for
    each window and each group of points with equal `group_by` labels. Windows begin at whole
    multiples of `window` since 1970-01-01T00:00Z, the first one at `start`. A window without points
    is left out. Without `window` the whole range is one window.
    """

    writes = False
    op: Literal["metrics_store.query"] = "metrics_store.query"
    series: SeriesName
    """Name of the series."""
    start: Timestamp
    """Start of the range, included."""
    end: Timestamp
    """End of the range, excluded."""
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)
    """Labels that a point must have, with these values; it may have others."""
    aggregation: Aggregation | None = None
    """How to aggregate the points of a window; None returns the points themselves."""
    window: Annotated[timedelta, Field(ge=timedelta(milliseconds=1))] | None = None
    """Length of a window, at least 1 ms; None makes the whole range one window."""
    group_by: list[LabelName] = Field(default_factory=list, max_length=MAX_LABELS)
    """Labels by which the points of a window are grouped."""
    limit: int = Field(1000, ge=1, le=10_000)
    """Maximum number of points or windows in a page."""
    cursor: str | None = Field(None, max_length=8192)
    """`next_cursor` of the previous page; None for the first."""

    @model_validator(mode="after")
    def _range_is_forward(self) -> QueryPoints:
        if self.end <= self.start:
            raise ValueError("the range ends before it begins")
        if self.aggregation is None and (self.window or self.group_by):
            raise ValueError("window and group_by need an aggregation")
        return self

    @property
    def subject(self) -> str:
        return self.series


@register
class ListSeries(ListNames, Returns[ListSeriesResult]):
    """Read one page of the names of series."""

    op: Literal["metrics_store.list_series"] = "metrics_store.list_series"


def canonical_labels(labels: dict[str, str]) -> str:
    """Return labels as JSON with sorted names; points are ordered by the UTF-8 of this text."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
