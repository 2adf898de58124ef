"""Tables on Firestore: a row is a document, written only over what its writer has seen.

Every write is fenced by `seq`, at the price of reading two fields of the document before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google.api_core import exceptions as api

from adapters.firestore import row_walk
from adapters.firestore.config import read_config
from adapters.firestore.database import Changed, Database, earliest, groups, lapsed, room
from adapters.firestore.failure import PASSING, firestore_errors, located, translate
from adapters.firestore.message import Message
from adapters.firestore.name import Collection, Layout, row_id
from adapters.firestore.row import (
    TRACE_FIELDS,
    delete_write,
    row_of,
    trace_of,
    upsert_write,
)
from adapters.port import AdapterContext, Call, Capability
from adapters.row_condition import demand
from adapters.tabular_store import TabularStore
from commands.error import Contended, NotFound, SignalboxError
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

LOOKS = 5

Item = tuple[UpsertRow, Call]
Answer = UpsertResult | SignalboxError


def open_adapter(context: AdapterContext) -> TabularStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return FirestoreTabularStore(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no Firestore route can have. No call out."""
    read_config(config, ResourceKind.TABULAR_STORE)


class FirestoreTabularStore:
    """The port on Firestore."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.TABULAR_STORE)
        self._scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def upsert(self, command: UpsertRow, call: Call) -> UpsertResult:
        """Two requests; more only if another writer comes in between."""
        with firestore_errors(self._scope):
            superseded = self._write(command, call, partial(upsert_write, command=command))
            return _done(command, call, superseded)

    def upsert_many(self, items: Sequence[Item]) -> list[Answer]:
        """Two requests for up to 500 rows; those that another writer came before, one by one."""
        answers: list[Answer | None] = [lapsed(call) for _, call in items]
        open_ones = [number for number, answer in enumerate(answers) if answer is None]
        for group in groups([room(items[number][0].size) for number in open_ones]):
            part = open_ones[group.start : group.stop]
            for number, answer in zip(part, self._group([items[n] for n in part]), strict=True):
                answers[number] = answer
        return [self._placed(answer) for answer in answers if answer is not None]

    def get(self, command: GetRow, call: Call) -> Row:
        with firestore_errors(self._scope):
            name = self._name(command)
            document = self._database.read([name], call)[name]
            row = row_of(document) if document is not None else None
            if row is None:
                raise NotFound("there is no such row", next_step="check the table and the key")
            return row

    def delete(self, command: DeleteRow, call: Call) -> DeleteRowResult:
        """Two requests. Where there is no row either, a tombstone keeps older writes out."""
        with firestore_errors(self._scope):
            superseded = self._write(command, call, partial(delete_write, command=command))
            return DeleteRowResult(
                table_name=command.table_name, key=command.key, superseded=superseded
            )

    def query(self, command: QueryRows, call: Call) -> QueryResult:
        """By key: reads little more than the page. With filters or `order_by`: reads the table,
        or what has the value of its first equal-filter."""
        with firestore_errors(self._scope):
            return row_walk.answer(
                self._database, self._collection(command.table_name), command, call
            )

    def close(self) -> None:
        """Nothing to give back: the channels belong to the process."""

    def _write(
        self, command: UpsertRow | DeleteRow, call: Call, make: Callable[..., Message]
    ) -> bool:
        """Whether a newer command's trace kept it out; nothing is written over its own either."""
        name = self._name(command)
        for _ in range(LOOKS):
            found = self._database.read([name], call, *TRACE_FIELDS)[name]
            trace = trace_of(found)
            demand(command, trace, call)
            if trace.seq >= call.seq:
                return trace.supersedes(call)
            try:
                self._database.commit([make(name, found, call=call)], call)
            except Changed:
                continue
            return False
        raise Contended(
            f"the row changed under each of {LOOKS} looks", next_step="it is tried again"
        )

    def _group(self, part: list[Item]) -> list[Answer]:
        try:
            with firestore_errors(self._scope):
                return self._upsert_group(part)
        except SignalboxError as error:
            return [error] * len(part)

    def _placed(self, answer: Answer) -> Answer:
        return located(answer, self._scope) if isinstance(answer, SignalboxError) else answer

    def _upsert_group(self, items: list[Item]) -> list[Answer]:
        lease = earliest([call for _, call in items])
        names = [self._name(command) for command, _ in items]
        found = self._database.read(names, lease, *TRACE_FIELDS)
        answers: list[Answer] = []
        writes: dict[int, Message] = {}
        for number, (name, (command, call)) in enumerate(zip(names, items, strict=True)):
            trace = trace_of(found[name])
            try:
                demand(command, trace, call)
                if trace.seq < call.seq:
                    writes[number] = upsert_write(name, found[name], command, call)
                answers.append(_done(command, call, trace.supersedes(call)))
            except SignalboxError as error:
                answers.append(error)
        for number, failure in zip(
            writes, self._write_each(list(writes.values()), lease), strict=True
        ):
            if isinstance(failure, (Changed, *PASSING)):
                answers[number] = self._alone(*items[number])
            elif isinstance(failure, api.GoogleAPICallError):
                answers[number] = translate(failure)
        return answers

    def _write_each(self, writes: list[Message], lease: Call) -> list[Exception | None]:
        if not writes:
            return []
        try:
            return self._database.write_each(writes, lease)
        except api.InvalidArgument as error:
            # One that is too large for Firestore's own count spoils the request.
            return [error] if len(writes) == 1 else [Changed()] * len(writes)

    def _alone(self, command: UpsertRow, call: Call) -> Answer:
        try:
            return self.upsert(command, call)
        except SignalboxError as error:
            return error

    def _name(self, command: UpsertRow | GetRow | DeleteRow) -> str:
        return self._collection(command.table_name).document(row_id(command.key.encode()))

    def _collection(self, table_name: str) -> Collection:
        return self._layout.collection("tables", table_name, "rows")


def _done(command: UpsertRow, call: Call, superseded: bool) -> UpsertResult:
    return UpsertResult(
        table_name=command.table_name, key=command.key, revision=call.seq, superseded=superseded
    )
