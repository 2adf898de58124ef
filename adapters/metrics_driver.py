"""The driver interface for metrics stores: store points, and iterate over those of a time range.

`adapters/metrics_store.py` decides which value of a point is kept and answers queries, once for all
backends. A driver raises its service's errors untranslated.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from signalbox.adapters.batch import UNBOUNDED, RequestSize
from signalbox.adapters.failure import Service
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import TimeLimit
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints
from signalbox.commands.scope import Scope


class Changed(Exception):
    """The record to be replaced is no longer the one that was seen; nothing was written."""


class SeenPoint(NamedTuple):
    """An existing record."""

    seq: int
    """Sequence number of the write that stored it."""
    token: Any
    """The driver's own value, by which it recognises that the record has not changed."""


class PointWrite(NamedTuple):
    """A record to write, and the one that it replaces."""

    record: Any
    """The record, as the driver's `record` made it."""
    over: SeenPoint | None
    """The record to replace; None if there is none, or the service itself keeps the higher
    `seq`."""


@dataclass(frozen=True)
class MetricsTraits:
    """Limits and abilities of the service."""

    request: RequestSize = UNBOUNDED
    """Maximum size of one call of `store`."""
    transactional: bool = False
    """True if the driver is a TransactionalMetricsDriver, else it is a RecordMetricsDriver."""


class MetricsDriver(Protocol):
    """The points of one scope on one route. Methods are thread-safe."""

    @property
    def scope(self) -> Scope:
        """The scope."""

    @property
    def service(self) -> Service:
        """The service, for errors."""

    @property
    def traits(self) -> MetricsTraits:
        """Limits and abilities."""

    def walk(
        self, query: QueryPoints, start: datetime, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[PointValue]]:
        """Iterate over the points of the query's series from `start` to before its end.

        Each point comes once, with its highest `seq`, ordered by time and then canonical labels as
        UTF-8, and is read when it is needed. Points without the query's labels may be included.
        """

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        """Return a page of the names of series; see `NameDriver.names`."""

    def close(self) -> None:
        """Release the driver's resources."""


class TransactionalMetricsDriver(MetricsDriver, Protocol):
    """The driver of a store within this process."""

    def store_all(self, points: Iterable[tuple[Point, int]], limit: TimeLimit) -> None:
        """Store points with their `seq`, all or none.

        If a point occurs twice, or exists, the highest `seq` is kept.
        """


class RecordMetricsDriver(MetricsDriver, Protocol):
    """The driver of a service that stores each record by itself."""

    def record(self, point: Point, seq: int) -> tuple[Hashable, Any]:
        """Return the record's name and the record.

        All records of which only one can exist have the same name.
        """

    def ahead(self, point: Point) -> Sequence[tuple[Hashable, Any]]:
        """Return records that must exist before readers can find the point.

        They are never overwritten.
        """

    def size(self, record: Any) -> int:
        """Return the record's size in a request, in bytes."""

    def store(self, writes: Sequence[PointWrite], limit: TimeLimit) -> Sequence[Exception | None]:
        """Store records with different names durably.

        Returns for each None, Changed, or the service's error.
        """

    def look(self, names: Sequence[Hashable], limit: TimeLimit) -> Mapping[Hashable, SeenPoint]:
        """Return the existing records; called for those that were Changed."""
