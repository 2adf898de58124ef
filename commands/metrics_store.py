"""The commands of a metrics store and what they answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from signalbox.commands.model import Command, register
from signalbox.commands.name import LabelName, SeriesName
from signalbox.commands.result import Result, Returns
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import check_text

MAX_POINTS = 1000
"""Points in one ingest."""
MAX_LABELS = 32
MAX_LABEL_BYTES = 1024
"""Of all labels of a point, names and values."""

Label = Annotated[str, Field(max_length=MAX_LABEL_BYTES), AfterValidator(check_text)]
Labels = dict[LabelName, Label]


class Point(BaseModel):
    """One measurement. Series, labels and timestamp name it: ingested again, it is one point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    series: SeriesName
    timestamp: Timestamp
    value: float = Field(allow_inf_nan=False)
    labels: Labels = Field(default_factory=dict, max_length=MAX_LABELS)

    @model_validator(mode="after")
    def _labels_fit(self) -> Point:
        if sum(len(n.encode()) + len(v.encode()) for n, v in self.labels.items()) > MAX_LABEL_BYTES:
            raise ValueError(f"labels are over {MAX_LABEL_BYTES} bytes")
        return self

    @property
    def identity(self) -> tuple[str, str, datetime]:
        """What two spellings of one point share."""
        return (self.series, canonical_labels(self.labels), self.timestamp)


class IngestResult(Result):
    points: int


class PointValue(Result):
    """A stored point; `labels` are all of its labels."""

    timestamp: Timestamp
    labels: dict[str, str]
    value: float


class WindowValue(Result):
    """`labels` are those of `group_by` that its points have."""

    start: Timestamp
    end: Timestamp
    labels: dict[str, str]
    value: float
    count: int = Field(description="Points in the window.")


class PointsResult(Result):
    """`points` without an aggregation, else `windows` in the order of start, then labels."""

    points: list[PointValue] = Field(default_factory=list)
    windows: list[WindowValue] = Field(default_factory=list)
    next_cursor: str | None = None


@register
class IngestPoints(Command, Returns[IngestResult]):
    """Store points. A point that is there already takes the value of the command accepted last."""

    op: Literal["metrics_store.ingest"] = "metrics_store.ingest"
    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)

    @model_validator(mode="after")
    def _points_are_distinct(self) -> IngestPoints:
        if len(self.points) > 1 and len({p.identity for p in self.points}) < len(self.points):
            raise ValueError("two points have the same series, labels and timestamp")
        return self

    @property
    def subject(self) -> str:
        first = self.points[0].series
        return first if len(self.points) == 1 else f"{first} and {len(self.points) - 1} more"


class Aggregation(StrEnum):
    """What a window's points come to; `last` is the value of the latest timestamp."""

    SUM = "sum"
    COUNT = "count"
    MIN = "min"
    MAX = "max"
    AVG = "avg"
    LAST = "last"


@register
class QueryPoints(Command, Returns[PointsResult]):
    """Points of one series from `start` to before `end`: as they are, or aggregated.

    Points come in the order of timestamp, then labels. With `aggregation` each window yields
    one value for each group of points with equal `group_by` labels; windows begin at whole
    multiples of `window` since 1970-01-01T00:00Z (the first is cut off at `start`), and one
    without points yields nothing. Without `window` the whole range is one.
    """

    writes = False
    op: Literal["metrics_store.query"] = "metrics_store.query"
    series: SeriesName
    start: Timestamp
    end: Timestamp
    labels: Labels = Field(
        default_factory=dict, max_length=MAX_LABELS, description="Labels that a point must have."
    )
    aggregation: Aggregation | None = None
    window: Annotated[timedelta, Field(ge=timedelta(milliseconds=1))] | None = None
    group_by: list[LabelName] = Field(default_factory=list, max_length=MAX_LABELS)
    limit: int = Field(1000, ge=1, le=10_000, description="Points or windows in a page.")
    cursor: str | None = Field(
        None, max_length=8192, description="`next_cursor` of the page before."
    )

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


def canonical_labels(labels: dict[str, str]) -> str:
    """One spelling for equal labels: JSON, names in order. Points are ordered by its UTF-8."""
    return json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
