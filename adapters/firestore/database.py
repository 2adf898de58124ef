"""Calls to one Firestore database, each with its time limit and a timeout of its own.

The SDK's retries are disabled. What is repeated here may be repeated: reads, writes with a
precondition (whose failed repeat is looked into), and writes that are never overwritten.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from google.api_core import exceptions as api

from signalbox.adapters.batch import RequestSize
from signalbox.adapters.firestore.client import client_for, metadata_for
from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.adapters.firestore.failure import CHANGED, PASSING
from signalbox.adapters.firestore.message import (
    BatchGet,
    BatchWrite,
    Commit,
    CursorPb,
    ListDocuments,
    MaskPb,
    Message,
    RunQuery,
    StructuredQueryPb,
)
from signalbox.adapters.firestore.name import Collection
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import not_asked

CALL_SECONDS = 20.0
"""Timeout of one call, in seconds."""
PAUSES = (0.05, 0.2)
"""Maximum seconds before the second and third attempt of a call."""
MAX_BYTES = 3 * 1024 * 1024
"""Maximum size of a request. Firestore allows 10 MiB, its emulator 4."""
REQUEST = RequestSize(500, MAX_BYTES)
"""Maximum size of a request for writes."""
CHUNK = 300
"""Documents per request when many are walked over."""

Answer = TypeVar("Answer")


class Changed(Exception):
    """A write's precondition failed, and nothing was written."""


class Database:
    """One database of one project. Thread-safe; raises the SDK's errors, and Expired."""

    def __init__(self, config: FirestoreConfig) -> None:
        self._config = config
        self._name = config.database_name
        self._metadata = metadata_for(config)

    def read(
        self, names: Sequence[str], limit: TimeLimit, *fields: str
    ) -> dict[str, Message | None]:
        """Read these documents in one request, with only these fields if any; None if missing.

        The caller limits the number of documents and the size of the response.
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
        """Make all writes or none. Raises Changed."""
        request = Commit(database=self._name)
        Commit.pb(request).writes.extend(writes)
        try:
            _attempt(lambda timeout: self._ask("commit", request, timeout), limit)
        except CHANGED as error:
            raise Changed from error

    def write_each(self, writes: Sequence[Message], limit: TimeLimit) -> list[Exception | None]:
        """Make up to 500 writes of different documents, each by itself.

        Returns for each None, Changed, or an error of the SDK.
        """
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
        """Iterate over the collection's documents in order, requested when they are needed.

        The first request reads `first` documents. `start` and `end` are cursors. `fields_of_order`
        returns a document's value of `order`, unless that is its name; with `ties`, several
        documents may have the same value and are then ordered by name.
        """
        query = StructuredQueryPb()
        query.from_.add(collection_id=collection.id)
        for path in (order, "__name__") if ties else (order,):
            query.order_by.add(direction=2 if descending else 1).field.field_path = path
        if end is not None:
            query.end_at.CopyFrom(end)
        if where is not None:
            query.where.CopyFrom(where)
        inside = collection.document("")
        limit_of_page = first
        order_of = _name_of if fields_of_order is None or ties else fields_of_order
        before: Any = None
        while True:
            query.limit.value = limit_of_page
            if start is not None:
                query.start_at.CopyFrom(start)
            last, count = None, 0
            for document in self._stream(collection.parent, query, limit):
                position = order_of(document)
                # The endpoint repeats documents, or returns some from elsewhere.
                if (
                    count == limit_of_page
                    or not document.name.startswith(inside)
                    or position == before
                ):
                    raise not_asked("other documents")
                yield document
                last, count, before = document, count + 1, position
            if last is None or count < limit_of_page:
                return
            start = CursorPb(before=False)
            if fields_of_order is None:
                start.values.add(reference_value=last.name)
            else:
                start.values.append(fields_of_order(last))
                if ties:
                    start.values.add(reference_value=last.name)
            limit_of_page = CHUNK

    def names(
        self, collection: Collection, limit: TimeLimit, *, count: int, token: str
    ) -> tuple[list[str], str]:
        """Return the ids of up to `count` documents, and the token of the next page, else empty.

        Documents that are missing, and have others below them, are there too.
        """
        request = ListDocuments(
            parent=collection.parent,
            collection_id=collection.id,
            page_size=count,
            page_token=token,
            show_missing=True,
        )
        ListDocuments.pb(request).mask.CopyFrom(MaskPb(field_paths=["__name__"]))
        pager = _attempt(lambda timeout: self._ask("list_documents", request, timeout), limit)
        page = next(iter(pager.pages))
        inside = collection.document("")
        found = [str(document.name) for document in type(page).pb(page).documents]
        if len(found) > count or not all(name.startswith(inside) for name in found):
            raise not_asked("other documents")
        return [name.removeprefix(inside) for name in found], str(page.next_page_token)

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
            # The reader has enough, or failed: the rest is not fetched.
            stream.cancel()

    def _ask(self, method: str, request: Any, timeout: float) -> Any:
        # Looked up each time, so that a forked child never uses its parent's channel.
        client = client_for(self._config)
        return getattr(client, method)(
            request=request, retry=None, timeout=timeout, metadata=self._metadata
        )


def room(size: int) -> int:
    """Return the estimated size in a request of a document with so much data.

    Names, types and JSON make it larger, six times in the worst case.
    """
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
