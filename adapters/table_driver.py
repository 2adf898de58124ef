"""Protocol of the drivers of tables: look at rows, write those that are unchanged since, walk.

`adapters/tabular_store.py` implements the operations, and decides which write counts, once for all
backends. A driver raises the errors of its service unchanged.
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
    """The row was changed since the look, and was not written."""


class Refused(Exception):
    """The service found the demand of a write unfulfilled and did not write.

    `found` is what is stored; None: nothing.
    """

    def __init__(self, found: Trace | None) -> None:
        self.found = found


class NotIndexed(Exception):
    """The service has no index for walking the rows in this way."""


class Scan(NamedTuple):
    """Why a walk reads the whole table."""

    column: str
    """The column that has no index."""
    ordering: bool
    """True if the query orders by the column, false if it filters by it."""
    next_step: str
    """Which index would serve the query, and how to create it; a sentence."""

    @classmethod
    def of(cls, query: QueryRows, column: str, next_step: str) -> Scan:
        """Return the scan of a query for this column."""
        return cls(column, all(test.column != column for test in query.filters), next_step)


@dataclass(frozen=True)
class Way:
    """A way in which a driver can walk the rows of a query."""

    ordered: bool = True
    """True if rows come in the query's order from its position on; false if in any order."""
    scans: Scan | None = None
    """Why it reads the whole table; None if it reads only what is requested."""
    plan: Any = None
    """The driver's own value."""


class RowWrite(NamedTuple):
    """A write of one row."""

    row: RowId
    data: Data | None
    """The new data; None for a tombstone, which readers do not see and which is kept for
    `TOMBSTONE_KEPT`."""
    seq: int
    """Number of the command's acceptance."""
    mark: str | None
    """Mark of the command; None if it equals the `seq`."""
    over: Trace | None
    """What the look found, which must still be there; None: nothing."""
    demand: Demand | None
    """What must hold for the stored row; instead of `over`, for a service that judges."""


End = Exception | None
"""Result of a write: None if it was done, Changed, Refused, or an error of the service."""


class TableSession(Protocol):
    """One look, and the writes that are based on it."""

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        """Return what the last write on each row left; rows without a trace have no entry.

        Not called for a service that judges.
        """

    def write(self, records: Sequence[Any]) -> Sequence[End]:
        """Write distinct rows durably, each completely or not at all; return an end for each.

        The writes may also take effect at the end of the session, then all of them or none.
        """


@dataclass(frozen=True)
class TableTraits:
    """What the service can do."""

    judges: bool = False
    """True if the service checks the demand of a write itself, so that no look is needed."""
    request: RequestSize = UNBOUNDED
    """Maximum size of one session."""
    room: Callable[[int], int] = field(default=lambda size: size)
    """Returns the bytes that a row with so many bytes of data takes in a request."""


class TableDriver(Protocol):
    """One scope on one route. Methods are thread-safe; a session belongs to one thread."""

    @property
    def scope(self) -> Scope:
        """The scope of the rows."""

    @property
    def service(self) -> Service:
        """The service, as errors name it."""

    @property
    def traits(self) -> TableTraits:
        """What the service can do."""

    def session(self, limit: TimeLimit) -> AbstractContextManager[TableSession]:
        """Begin a session; nothing in it takes effect after the limit."""

    def record(self, write: RowWrite) -> Any:
        """Return the argument of `TableSession.write` for a write; no call. Raises TooLarge."""

    def size(self, record: Any) -> int:
        """Return the bytes of a record in a request; called for services that judge."""

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> Mapping[RowId, Any]:
        """Return the stored form of each of these rows that exists, as `row` takes it."""

    def row(self, stored: Any) -> Row | None:
        """Return the row in its stored form; None for a tombstone. Raises IntegrityMismatch."""

    def ways(self, query: QueryRows, limit: TimeLimit) -> Iterable[Way]:
        """Return the ways to walk the rows of a query, best first; the last needs no index.

        With `allow_scan`, the driver need not find out which of them scan.
        """

    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> AbstractContextManager[Iterator[Row]]:
        """Walk the table's rows in one of these ways, reading them when they are requested.

        Yields at least the rows after `position` that pass the query's filters. Raises NotIndexed.
        """

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        """Return a page of the names of tables; see `NameDriver.names`."""

    def close(self) -> None:
        """Release the driver's resources."""
