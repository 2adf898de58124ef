"""Tables on DynamoDB: a row is an item, and a table's rows are one partition in their order.

Every write is fenced by `seq` in its own condition: one request, without a look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.dynamodb.batch import groups
from adapters.dynamodb.config import read_config
from adapters.dynamodb.failure import dynamodb_errors, located
from adapters.dynamodb.item import weight
from adapters.dynamodb.key import Layout
from adapters.dynamodb.row import delete_put, row_of, superseded, upsert_put
from adapters.dynamodb.row_bulk import Answer, done, restless, upsert_group
from adapters.dynamodb.table import Refused, Table
from adapters.port import AdapterContext, Call, Capability
from adapters.row_query import open_place, page_of, page_of_unordered
from adapters.tabular_store import TabularStore
from commands.error import NotFound, SignalboxError
from commands.scope import ResourceKind
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


def open_adapter(context: AdapterContext) -> TabularStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return DynamoDBTabularStore(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no DynamoDB route can have. No call out."""
    read_config(config, ResourceKind.TABULAR_STORE)


class DynamoDBTabularStore:
    """The port on DynamoDB."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.TABULAR_STORE)
        self._scope = context.scope
        self._layout = Layout.of(context.scope)
        self._table = Table(config, context.scope)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """One request."""
        with dynamodb_errors(self._scope):
            late = self._write(self._upsert_put(command, call), command, call)
            return done(command, call, superseded=late)

    def upsert_many(
        self, items: Sequence[tuple[UpsertRow, Call]]
    ) -> list[UpsertResult | SignalboxError]:
        """One request for up to 100 rows; one more where some are refused."""
        answers: dict[int, Answer] = {}
        puts: dict[int, dict[str, Any]] = {}
        for number, (command, call) in enumerate(items):
            try:
                with dynamodb_errors(self._scope):
                    puts[number] = self._upsert_put(command, call)
            except SignalboxError as error:
                answers[number] = error
        numbers = list(puts)
        for group in groups([weight(puts[number]["Item"]) for number in numbers]):
            part = numbers[group.start : group.stop]
            answers |= zip(part, self._upsert_part(items, puts, part), strict=True)
        return [answers[number] for number in range(len(items))]

    def get(self, command: GetRow, call: Call) -> Row:
        """One request."""
        with dynamodb_errors(self._scope):
            item = self._table.get(self._layout.row(command.table_name, command.key), call)
            row = row_of(item) if item is not None else None
            if row is None:
                raise NotFound("there is no such row", next_step="check the table and the key")
            return row

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """One request. Where there is no row either, a tombstone keeps older writes out."""
        with dynamodb_errors(self._scope):
            key = self._layout.row(command.table_name, command.key)
            late = self._write(delete_put(self._table, key, command, call), command, call)
            return DeleteRowResult(table_name=command.table_name, key=command.key, superseded=late)

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        """By key: reads little more than the page. With filters: until the page is full. With
        `order_by`: the whole table."""
        with dynamodb_errors(self._scope):
            place = open_place(command)
            if command.order_by is not None:
                return page_of_unordered(command, self._rows(command, call, None))
            return page_of(command, self._rows(command, call, place and place[2]))

    def close(self) -> None:
        """Nothing to give back: the clients belong to the process."""

    def _rows(self, query: QueryRows, call: Call, behind: bytes | None) -> Iterator[Row]:
        plain = query.order_by is None and not query.filters
        items = self._table.walk(
            self._layout.rows(query.table_name),
            call,
            behind=behind,
            descending=query.descending and query.order_by is None,
            first=query.limit + 1 if plain else None,
        )
        return (row for row in map(row_of, items) if row is not None)

    def _upsert_put(self, command: UpsertRow, call: Call) -> dict[str, Any]:
        key = self._layout.row(command.table_name, command.key)
        return upsert_put(self._table, key, command, call)

    def _write(self, put: dict[str, Any], command: UpsertRow | DeleteRow, call: Call) -> bool:
        """Whether a newer command's trace kept it out; nothing is written over its own either."""
        try:
            self._table.put(put, call)
        except Refused as refused:
            late = superseded(refused.found, command, call)
            if late is None:
                raise restless() from None
            return late
        return False

    def _upsert_part(
        self,
        items: Sequence[tuple[UpsertRow, Call]],
        puts: dict[int, dict[str, Any]],
        part: list[int],
    ) -> list[Answer]:
        try:
            with dynamodb_errors(self._scope):
                answers = upsert_group(
                    self._table,
                    [items[number] for number in part],
                    [puts[number] for number in part],
                    self._alone,
                )
        except SignalboxError as error:
            return [error] * len(part)
        for answer in answers:
            if isinstance(answer, SignalboxError):
                located(answer, self._scope)
        return answers

    def _alone(self, command: UpsertRow, call: Call) -> Answer:
        try:
            return self.upsert(command, call)
        except SignalboxError as error:
            return error
