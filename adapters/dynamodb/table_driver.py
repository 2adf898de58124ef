"""Table driver for DynamoDB: a row is an item, and a table's rows are one partition, by key.

A row's item has `seq`, `row` (its data) and `mark`. A tombstone has `expires` instead of `row`.
Every write is one request without a look, since DynamoDB checks its condition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from signalbox.adapters.aws.failure import code_of
from signalbox.adapters.dynamodb.config import read_config
from signalbox.adapters.dynamodb.failure import SERVICE, translate_reason
from signalbox.adapters.dynamodb.item import (
    Item,
    fitting,
    from_json,
    keyed,
    number,
    read_integer,
    read_text,
    to_json,
    weight,
)
from signalbox.adapters.dynamodb.key import Layout
from signalbox.adapters.dynamodb.name_page import names_page
from signalbox.adapters.dynamodb.table import TRANSACTION, Cancelled, ItemRefused, Table
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Demand, Trace
from signalbox.adapters.row_query import OrderKey, needed_texts
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import End, Refused, RowId, RowWrite, Scan, TableTraits, Way
from signalbox.commands.error import SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import QueryRows, Row

ROUNDS = 5
PAUSE = 0.02
"""Seconds before the second look at what was busy; doubles with each."""
_BUSY = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_NO_INDEX = (
    "DynamoDB keeps rows by their key alone: keep the table on postgres or firestore, where an "
    "index of the column serves it."
)
_OLDER = "(attribute_not_exists(#seq) OR #seq < :seq)"


def open_driver(context: AdapterContext) -> DynamoDBTableDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return DynamoDBTableDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.TABULAR_STORE)


class DynamoDBTableDriver:
    """A TableDriver. Writes up to 100 rows with a request, and one more if some are refused."""

    service = SERVICE
    traits = TableTraits(judges=True, request=TRANSACTION)

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.TABULAR_STORE)
        self.scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        yield _Session(self._table, limit)

    def record(self, write: RowWrite) -> dict[str, Any]:
        """Return the put of the item."""
        item = keyed(self._layout.row(*write.row), seq=number(write.seq))
        if write.data is None:
            expires = int(time.time() + TOMBSTONE_KEPT.total_seconds())
            item["expires"] = number(expires)
        else:
            item["row"] = {"S": to_json(write.data)}
            fitting(item, "the row")
        if write.mark is not None:
            item["mark"] = {"S": write.mark}
        return self._table.condition(item, *_condition(write.seq, write.demand or Demand()))

    def size(self, record: Mapping[str, Any]) -> int:
        return weight(record["Item"])

    def get(self, rows: Sequence[RowId], limit: TimeLimit) -> dict[RowId, Item]:
        """Read the rows, with a request for each."""
        found = {row: self._table.get(self._layout.row(*row), limit) for row in rows}
        return {row: item for row, item in found.items() if item is not None}

    def row(self, stored: Item) -> Row | None:
        if "row" not in stored:
            return None
        with readable("a row"):
            return Row(
                key=bytes(stored["sk"]["B"]).decode(),
                data=from_json(stored["row"]["S"]),
                revision=read_integer(stored, "seq"),
            )

    def ways(self, query: QueryRows, limit: TimeLimit) -> tuple[Way]:  # noqa: ARG002
        """Return the only way, by key: a row's columns are one text, without an index."""
        if query.order_by is None and not query.filters:
            return (Way(),)
        column = query.filters[0].column if query.filters else query.order_by or ""
        return (Way(ordered=query.order_by is None, scans=Scan.of(query, column, _NO_INDEX)),)

    @contextmanager
    def walk(
        self, query: QueryRows, way: Way, position: OrderKey | None, limit: TimeLimit
    ) -> Iterator[Iterator[Row]]:
        items = self._table.walk(
            self._layout.rows(query.table_name),
            limit,
            after=position[2] if position else None,
            descending=query.descending and way.ordered,
            first=query.limit + 1 if way.ordered and not query.filters else None,
            texts=needed_texts(query, to_json),
        )
        yield (row for row in map(self.row, items) if row is not None)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._table, self._layout.rows(""), query, limit)

    def close(self) -> None:
        """Do nothing: the clients belong to the process."""


class _Session:
    """Many writes go in transactions of up to 100, without those that stand in their way. A
    transaction costs twice the write units of single puts, and a twentieth of the worker's time."""

    def __init__(self, table: Table, limit: TimeLimit) -> None:
        self._table, self._limit = table, limit

    def look(self, rows: Sequence[RowId]) -> Mapping[RowId, Trace]:
        raise NotImplementedError  # the service judges, so nobody looks

    def write(self, records: Sequence[Mapping[str, Any]]) -> list[End]:
        ends: dict[int, End] = {}
        for round_ in range(ROUNDS):
            todo = [number for number in range(len(records)) if number not in ends]
            if len(todo) < 2:
                break
            try:
                self._table.transact([records[number] for number in todo], self._limit)
            except Cancelled as cancelled:
                busy = False
                for number, (code, found) in zip(todo, cancelled.reasons, strict=True):
                    if code in _BUSY:
                        busy = True
                    elif code != "None":
                        ends[number] = _refused(code, found)
                if busy:  # another transaction is on a row: it is over in a moment
                    time.sleep(min(PAUSE * 2**round_, self._limit.remaining()))
            except ClientError as error:
                # One that is too large by DynamoDB's own count spoils the request.
                if code_of(error) != "ValidationException":
                    raise
                break
            else:
                ends |= dict.fromkeys(todo)
        return [
            ends[number] if number in ends else self._alone(record)
            for number, record in enumerate(records)
        ]

    def _alone(self, record: Mapping[str, Any]) -> End:
        try:
            self._table.put(record, self._limit)
        except ItemRefused as refused:
            return Refused(_trace_of(refused.found))
        except SignalboxError as error:
            return error
        except SERVICE.failures as error:
            return error
        return None


def _condition(seq: int, demand: Demand) -> tuple[str, dict[str, str], Item]:
    """An expression with its names and values."""
    values: Item = {":seq": number(seq)}
    names = {"#seq": "seq"}
    demanded = ""
    if demand.if_absent:
        demanded = "attribute_not_exists(#row)"
    elif demand.if_revision is not None:
        demanded = "#seq = :revision AND attribute_exists(#row)"
        values[":revision"] = number(demand.if_revision)
    if not demanded:
        return _OLDER, names, values
    names["#row"] = "row"
    mark = demand.or_mark
    if mark is not None:
        bears = "#mark = :mark"
        names["#mark"], values[":mark"] = "mark", {"S": mark}
        if mark.isdecimal():
            bears += " OR (#seq = :first AND attribute_not_exists(#mark))"
            values[":first"] = {"N": mark}
        demanded = f"({demanded}) OR {bears}"
    return f"{_OLDER} AND ({demanded})", names, values


def _refused(code: str, found: Item | None) -> Exception:
    if code != "ConditionalCheckFailed":
        return translate_reason(code)
    try:
        return Refused(_trace_of(found))
    except SignalboxError as error:
        return error


def _trace_of(found: Item | None) -> Trace | None:
    if found is None:
        return None
    mark = read_text(found, "mark") if "mark" in found else None
    return Trace(read_integer(found, "seq"), "row" not in found, mark)
