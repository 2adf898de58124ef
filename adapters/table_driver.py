"""What a backend of tabular stores implements: look at rows, write them over what was seen, walk.

`adapters/tabular_store.py` decides which write counts, and makes the operations, once for all
backends. What the service reports leaves a driver as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from signalbox.adapters.batch import UNBOUNDED, RequestSize
from signalbox.adapters.failure import Service
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.row_condition import Demand, Trace
from signalbox.adapters.row_query import OrderKey
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import QueryRows, Row
from signalbox.commands.value import Data

RowId = tuple[str, str]
"""Names of the table and of the row."""


class Changed(Exception):
    """A row is no longer what the write was to replace, and was not written."""


class Refused(Exception):
    """The service held the demand against what is there (None: nothing), and did not write."""

    def __init__(self, found: Trace | None) -> None:
        self.found = found


class NotIndexed(Exception):
    """The service cannot walk the rows in this way: it has no index for it."""


class Scan(NamedTuple):
    """For what a walk reads rows that no key and no index has chosen."""

    column: str
    ordering: bool
    """It is ordered by the column, or else tests it."""
    next_step: str
    """Which index serves it, and what to do for it; a sentence."""

    @classmethod
    def of(cls, query: QueryRows, column: str, next_step: str) -> Scan:
        return cls(column, all(test.column != column for test in query.filters), next_step)


@dataclass(frozen=True)
class Way:
    """How a driver can walk the rows that a query asks for."""

    ordered: bool = True
    """In the query's order, from its position on; else in any order, and without a position."""
    scans: Scan | None = None
    """None: what it reads grows with what is asked for, and not with the table."""
    plan: Any = None
    """The driver's own."""


class RowWrite(NamedTuple):
    """What a row is to be, and over what."""

    row: RowId
    data: Data | None
    """None: a tombstone, which is kept for `TOMBSTONE_KEPT` and is no row to any reader."""
    seq: int
    mark: str | None
    over: Trace | None
    """What was seen there, and is to be there still; None: nothing was."""
    demand: Demand | None
    """In position of `over`, for a service that judges: what is to hold of what is there."""


End = Exception | None
"""What became of a write: None if it was done, Changed, Refused, or what the service reports."""


class TableSession(Protocol):
    """One look, and what is written over what it found."""

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        """What the last write on each row left; without an entry, nothing. Not asked of a service
        that judges."""

    def write(self, records: Sequence[Any]) -> Sequence[End]:
        """Store them durably, each whole or not at all, of distinct rows; an end for each. It may
        also take effect at the end of the session, and then for all of them or none."""


@dataclass(frozen=True)
class TableTraits:
    """What the service takes, and what it does itself."""

    judges: bool = False
    """A write needs no look: the service holds the demand against what is there."""
    request: RequestSize = UNBOUNDED
    """Of one session."""
    room: Callable[[int], int] = field(default=lambda size: size)
    """Bytes of a request for a row with so much data."""


class TableDriver(Protocol):
    """One scope on one route. Methods are thread-safe; a session is one thread's."""

    @property
    def scope(self) -> Scope: ...

    @property
    def service(self) -> Service: ...

    @property
    def traits(self) -> TableTraits: ...

    def session(self, limit: TimeLimit) -> AbstractContextManager[TableSession]:
        """No effect within it begins after the limit."""

    def record(self, write: RowWrite) -> Any:
        """What `TableSession.write` takes for it; no call. Raises TooLarge."""

    def size(self, record: Any) -> int:
        """Bytes of a record in a request; asked of services that judge."""

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> Mapping[RowId, Any]:
        """What is stored of each of these rows that is there, for `row`."""

    def row(self, stored: Any) -> Row | None:
        """None for a tombstone. Raises IntegrityMismatch."""

    def ways(self, query: QueryRows, limit: TimeLimit) -> Iterable[Way]:
        """How it can be walked, best first; the last way needs no index. Which of them scan need
        not be looked up where the query says `allow_scan`."""

    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[Row]]:
        """The table's rows in one of these ways, read as they are asked for: at least those that
        pass the query's filters and stand behind `position`. Raises NotIndexed."""

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        """Return a page of the names of tables; see `NameDriver.names`."""

    def close(self) -> None:
        """Give back what the driver holds."""
