"""What a backend of metrics stores implements: store points, and walk over those of a time.

`adapters/metrics_store.py` decides which value of a point stands, and answers queries, once for
all backends. What the service reports leaves a driver as it came.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from signalbox.adapters.batch import UNBOUNDED, RequestSize
from signalbox.adapters.failure import Service
from signalbox.adapters.port import TimeLimit
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints
from signalbox.commands.scope import Scope


class Changed(Exception):
    """There is another record than the write was to replace, and it was not written."""


class SeenPoint(NamedTuple):
    """A record that is there."""

    seq: int
    token: Any
    """The driver's own: by what it knows that it is there still."""


class PointWrite(NamedTuple):
    """One record, and what it replaces."""

    record: Any
    over: SeenPoint | None
    """None: nothing is there, or the service itself keeps the higher `seq`."""


@dataclass(frozen=True)
class MetricsTraits:
    """What the service takes, and what it does itself."""

    request: RequestSize = UNBOUNDED
    """Of one call of `store`."""
    transactional: bool = False
    """The driver is a TransactionalMetricsDriver, else a RecordMetricsDriver."""


class MetricsDriver(Protocol):
    """One scope on one route. Methods are thread-safe."""

    @property
    def scope(self) -> Scope: ...

    @property
    def service(self) -> Service: ...

    @property
    def traits(self) -> MetricsTraits: ...

    def walk(
        self, query: QueryPoints, start: datetime, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[PointValue]]:
        """The points of the query's series from `start` to before its end, each once with its
        highest `seq`, by time and then canonical labels as UTF-8; read as they are asked for.
        Those without the query's labels may be among them."""

    def close(self) -> None:
        """Give back what the driver holds."""


class TransactionalMetricsDriver(MetricsDriver, Protocol):
    """A driver of a store within this process."""

    def store_all(self, points: Iterable[tuple[Point, int]], limit: TimeLimit) -> None:
        """Store points with their `seq`, all or none; of one that comes twice, or is there, the
        highest stands."""


class RecordMetricsDriver(MetricsDriver, Protocol):
    """A driver of a service that stores records, each by itself."""

    def record(self, point: Point, seq: int) -> tuple[Hashable, Any]:
        """A name, the same for all records of which only one can be there, and the record."""

    def ahead(self, point: Point) -> Sequence[tuple[Hashable, Any]]:
        """Records that must be there before a reader finds the point; nothing overwrites them."""

    def size(self, record: Any) -> int:
        """Bytes of it in a request."""

    def store(self, writes: Sequence[PointWrite], limit: TimeLimit) -> Sequence[Exception | None]:
        """Store records of distinct names durably; what became of each: None, Changed, or what
        the service reports."""

    def look(self, names: Sequence[Hashable], limit: TimeLimit) -> Mapping[Hashable, SeenPoint]:
        """Those that are there; asked where `store` gave Changed."""
