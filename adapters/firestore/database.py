"""The calls to one database, each bounded by its time limit and by a timeout of its own.

The SDK's retries are off. What is repeated here may be repeated: reads, writes under a
precondition (whose second attempt fails and is looked into), and writes that nothing overwrites.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from google.api_core import exceptions as api

from signalbox.adapters.answer import not_asked
from signalbox.adapters.batch import RequestSize
from signalbox.adapters.firestore.client import client_for, metadata_for
from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.adapters.firestore.failure import CHANGED, PASSING
from signalbox.adapters.firestore.message import (
    BatchGet,
    BatchWrite,
    Commit,
    CursorPb,
    MaskPb,
    Message,
    RunQuery,
    StructuredQueryPb,
)
from signalbox.adapters.firestore.name import Collection
from signalbox.adapters.port import TimeLimit

CALL_SECONDS = 20.0
PAUSES = (0.05, 0.2)
"""Seconds at most before the second and third attempt of a call."""
MAX_BYTES = 3 * 1024 * 1024
"""Of one request. Firestore takes 10 MiB, its emulator 4."""
REQUEST = RequestSize(500, MAX_BYTES)
"""Writes of one."""
CHUNK = 300
"""Documents a request in a walk over many."""

Answer = TypeVar("Answer")


class Changed(Exception):
    """A document is no longer what the write's precondition says, and nothing was written."""


class Database:
    """One database of one project. Thread-safe; raises the SDK's errors, and Expired."""

    def __init__(self, config: FirestoreConfig) -> None:
        self._config = config
        self._name = config.database_name
        self._metadata = metadata_for(config)

    def read(
        self, names: Sequence[str], limit: TimeLimit, *fields: str
    ) -> dict[str, Message | None]:
        """These documents, with only these fields where any are named; None: not there.

        One request. The caller bounds how many, and how large what comes back may be.
        """
        request = BatchGet(database=self._name, documents=names)
        if fields:
            BatchGet.pb(request).mask.CopyFrom(MaskPb(field_paths=fields))

        def send(timeout: float) -> dict[str, Message | None]:
            found: dict[str, Message | None] = dict.fromkeys(names)
            answers = self._ask("batch_get_documents", request, timeout)
            try:
                for part in answers:
                    document = type(part).pb(part).found
                    if document.name:
                        if found.get(document.name, document) is not None:
                            raise not_asked("other documents")
                        found[document.name] = document
            finally:
                answers.cancel()
            return found

        return _attempt(send, limit)

    def commit(self, writes: Sequence[Message], limit: TimeLimit) -> None:
        """Do all writes or none. Raises Changed."""
        request = Commit(database=self._name)
        Commit.pb(request).writes.extend(writes)
        try:
            _attempt(lambda timeout: self._ask("commit", request, timeout), limit)
        except CHANGED as error:
            raise Changed from error

    def write_each(self, writes: Sequence[Message], limit: TimeLimit) -> list[Exception | None]:
        """Do each write for itself, at most 500 of distinct documents; what became of each:
        None, Changed, or an error of the SDK's."""
        request = BatchWrite(database=self._name)
        BatchWrite.pb(request).writes.extend(writes)
        answer = _attempt(lambda timeout: self._ask("batch_write", request, timeout), limit)
        ends = [_failure(status) for status in type(answer).pb(answer).status]
        if len(ends) != len(writes):
            raise not_asked("the ends of other writes")
        return ends

    def walk(
        self,
        collection: Collection,
        limit: TimeLimit,
        *,
        order: str = "__name__",
        descending: bool = False,
        start: Message | None = None,
        end: Message | None = None,
        where: Message | None = None,
        first: int = CHUNK,
        fields_of_order: Callable[[Message], Message] | None = None,
        ties: bool = False,
    ) -> Iterator[Message]:
        """The collection's documents in order, as they are asked for: `first` of them with the
        first request. `start` and `end` are cursors; `fields_of_order` gives a document's value
        of `order`, where that is not its name; if `ties`, many may have one, and come by name."""
        query = StructuredQueryPb()
        query.from_.add(collection_id=collection.id)
        for path in (order, "__name__") if ties else (order,):
            query.order_by.add(direction=2 if descending else 1).field.field_path = path
        if end is not None:
            query.end_at.CopyFrom(end)
        if where is not None:
            query.where.CopyFrom(where)
        inside = collection.document("")
        most = first
        order_of = _name_of if fields_of_order is None or ties else fields_of_order
        before: Any = None
        while True:
            query.limit.value = most
            if start is not None:
                query.start_at.CopyFrom(start)
            last, count = None, 0
            for document in self._stream(collection.parent, query, limit):
                place = order_of(document)
                # An endpoint that goes round in circles, or gives what lies elsewhere.
                if count == most or not document.name.startswith(inside) or place == before:
                    raise not_asked("other documents")
                yield document
                last, count, before = document, count + 1, place
            if last is None or count < most:
                return
            start = CursorPb(before=False)
            if fields_of_order is None:
                start.values.add(reference_value=last.name)
            else:
                start.values.append(fields_of_order(last))
                if ties:
                    start.values.add(reference_value=last.name)
            most = CHUNK

    def _stream(self, parent: str, query: Message, limit: TimeLimit) -> Iterator[Message]:
        request = RunQuery(parent=parent)
        RunQuery.pb(request).structured_query.CopyFrom(query)
        stream = _attempt(lambda timeout: self._ask("run_query", request, timeout), limit)
        try:
            for part in stream:
                document = type(part).pb(part).document
                if document.name:
                    yield document
        finally:
            # The reader has enough, or failed: what is still on its way is not fetched.
            stream.cancel()

    def _ask(self, method: str, request: Any, timeout: float) -> Any:
        # Asked anew each time, so that a forked child never uses its parent's channel.
        client = client_for(self._config)
        return getattr(client, method)(
            request=request, retry=None, timeout=timeout, metadata=self._metadata
        )


def room(size: int) -> int:
    """Bytes to reckon with in a request for a document of so much data, as commands count it:
    names, types and JSON make it more, six times at the very worst."""
    return 3 * size + 4096


def _attempt(send: Callable[[float], Answer], limit: TimeLimit) -> Answer:
    for most in PAUSES:
        try:
            return send(min(CALL_SECONDS, limit.remaining()))
        except PASSING:
            time.sleep(min(random.uniform(0, most), limit.remaining()))
    return send(min(CALL_SECONDS, limit.remaining()))


def _name_of(document: Message) -> str:
    return str(document.name)


def _failure(status: Message) -> Exception | None:
    if status.code == 0:
        return None
    error = api.from_grpc_status(status.code, status.message)  # type: ignore[no-untyped-call]
    return Changed() if isinstance(error, CHANGED) else error
