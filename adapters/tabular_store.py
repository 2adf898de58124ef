"""The port of tabular stores: what a backend of this kind implements.

Names arrive checked (`commands/name.py`), values typed (`commands/value.py`), and come back
equal. A row's revision is the `seq` of the command that wrote it. Every method may raise
PermissionDenied, Misconfigured, Throttled, Unavailable and InsufficientStorage.

Every write is conditional on `seq`: a write that finds the trace of a newer one on its row (a
deletion too) changes nothing. If `call.takeover`, it answers as if it had been done and then
overtaken, `superseded`; and one that finds its own effect, by its mark, is asked for no condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.port import Call
from commands.error import SignalboxError
from commands.tabular_store import (
    DeleteRow,
    DeleteRowResult,
    GetRow,
    QueryResult,
    QueryRows,
    Row,
    UpsertResult,
    UpsertRow,
)


class TabularStore(Protocol):
    """One tenant's tables in one environment on one backend. Methods are thread-safe."""

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """Write the whole row durably, or not at all; a table is there once it has a row.

        Raises AlreadyExists (`if_absent`), PreconditionFailed (`if_revision`), and TooLarge
        where the row is over what the backend takes.
        """

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """Many upserts in few calls, an answer for each; no row comes twice."""

    def get(self, command: GetRow, call: Call) -> Row:
        """Raises NotFound."""

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """Remove the row; no error if there is none. Raises PreconditionFailed."""

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        """One page, as `adapters/row_query.py` defines filters and order; at most `limit` rows
        and about a mebibyte, but one row at least where any is left. Rows that were there
        throughout a walk over the pages come exactly once. Raises InvalidCommand for a cursor
        of another query."""

    def close(self) -> None:
        """Give back what the adapter holds; it is not used again."""
