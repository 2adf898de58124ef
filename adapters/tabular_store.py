"""Tabular stores for every backend: the operations, implemented with a driver's primitives.

Names are already checked (`commands/name.py`); values are typed (`commands/value.py`), and are
returned as they were written. A row's revision is the `seq` of the command that wrote it. Every
method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and InsufficientStorage.

A write that finds the trace of a newer write on its row, also of a deletion, changes nothing; its
result is then `superseded`. A write that finds its own effect, by its mark, does not check its
condition again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from signalbox.adapters.batch import earliest, only
from signalbox.adapters.failure import Reporter
from signalbox.adapters.name_list import list_names
from signalbox.adapters.port import Call
from signalbox.adapters.row_query import page_of, page_of_unordered, start_position
from signalbox.adapters.row_write import RowWriter
from signalbox.adapters.table_driver import NotIndexed, Scan, TableDriver
from signalbox.commands.error import NotFound, ScanRefused, SignalboxError
from signalbox.commands.tabular_store import (
    DeleteRow,
    DeleteRowResult,
    GetRow,
    ListTables,
    ListTablesResult,
    QueryResult,
    QueryRows,
    Row,
    UpsertResult,
    UpsertRow,
)


class TabularStore:
    """The tables of one tenant and env on one backend. Methods are thread-safe."""

    def __init__(self, driver: TableDriver) -> None:
        self.driver = driver
        self._reporter = Reporter(driver.service, driver.scope)
        self._writer = RowWriter(driver, self._reporter)

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """Write the whole row durably, or not at all; a table exists once it has a row.

        Raises AlreadyExists (`if_absent`), PreconditionFailed (`if_revision`), and TooLarge if the
        row exceeds the backend's limit.
        """
        return only(self.upsert_many([(command, call)]))

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """Write many rows in few calls; return an answer for each.

        Rows must be distinct, unless the backend writes in transactions that look first.
        """
        return [
            end
            if isinstance(end, SignalboxError)
            else UpsertResult(
                table_name=command.table_name,
                key=command.key,
                revision=call.seq,
                superseded=end,
            )
            for (command, call), end in zip(items, self._writer.write(items), strict=True)
        ]

    def get(self, command: GetRow, call: Call) -> Row:
        """Return a row. Raises NotFound."""
        return only(self.get_many([(command, call)]))

    def get_many(self, items: Sequence[tuple[GetRow, Call]]) -> list[Row | SignalboxError]:
        """Read many rows in few calls; return an answer for each."""
        if not items:
            return []
        rows = [(command.table_name, command.key) for command, _ in items]
        try:
            with self._reporter.errors():
                found = self.driver.get(rows, earliest([call for _, call in items]))
        except SignalboxError as error:
            return [error] * len(items)
        answers: list[Row | SignalboxError] = []
        for row in rows:
            try:
                stored = found.get(row)
                there = self.driver.row(stored) if stored is not None else None
                answers.append(there or self._missing())
            except SignalboxError as error:
                answers.append(self._reporter.located(error))
        return answers

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """Remove a row; no error if it does not exist. Raises PreconditionFailed.

        A tombstone remains, even if there was no row, so that older writes have no effect.
        """
        return only(self.delete_many([(command, call)]))

    def delete_many(
        self, items: Sequence[tuple[DeleteRow, Call]]
    ) -> list[DeleteRowResult | SignalboxError]:
        """Remove many rows in few calls, as `upsert_many` writes them."""
        return [
            end
            if isinstance(end, SignalboxError)
            else DeleteRowResult(table_name=command.table_name, key=command.key, superseded=end)
            for (command, _), end in zip(items, self._writer.write(items), strict=True)
        ]

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        """Return one page; `adapters/row_query.py` defines filters and order.

        A page has at most `limit` rows and about one mebibyte, but at least one row if any is left.
        Rows that exist while all pages are read are returned exactly once. Raises InvalidCommand
        for a cursor of another query, and ScanRefused if the backend has no key or index for the
        query, unless it has `allow_scan`.
        """
        with self._reporter.errors():
            position = start_position(command)
            for way in self.driver.ways(command, call):
                if way.scans is not None and not command.allow_scan:
                    raise _refused(command.table_name, way.scans)
                page = page_of if way.ordered else page_of_unordered
                with (
                    suppress(NotIndexed),
                    self.driver.walk(command, way, position if way.ordered else None, call) as rows,
                ):
                    return page(command, rows)
            raise AssertionError  # the last way needs no index

    def list_tables(self, command: ListTables, call: Call) -> ListTablesResult:
        """Return one page of names, as `adapters/name_list.py` defines it.

        Raises InvalidCommand for a cursor of another list, and ScanRefused if the backend has no
        list of names, unless the command has `allow_scan`.
        """
        with self._reporter.errors():
            names, cursor = list_names(self.driver, command, call)
        return ListTablesResult(tables=names, next_cursor=cursor or None)

    def close(self) -> None:
        """Release the driver's resources; the store cannot be used afterwards."""
        self.driver.close()

    def _missing(self) -> SignalboxError:
        return self._reporter.located(
            NotFound("there is no such row", next_step="check the table and the key")
        )


def _refused(table_name: str, scan: Scan) -> ScanRefused:
    what = "the order by" if scan.ordering else "the filter on"
    return ScanRefused(
        f"{what} {scan.column!r} would read the whole table {table_name!r}: no index serves it",
        next_step=f"{scan.next_step} Or read the table all the same: allow_scan (--allow-scan).",
    )
