"""Points on Firestore: a document for each, named by what names the point.

A point is created without a look; only where there is one already is its `seq` read, and the
higher one stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.api_core import exceptions as api

from adapters.firestore.config import read_config
from adapters.firestore.database import CHUNK, Database, earliest, groups, lapsed
from adapters.firestore.failure import firestore_errors, located, translate
from adapters.firestore.message import CursorPb, Message, new_document, set_value
from adapters.firestore.name import Collection, Layout, point_id, time_id
from adapters.firestore.point import points_of, write_points
from adapters.metrics_store import MetricsStore
from adapters.port import AdapterContext, Call, Capability
from adapters.window import page_of, read_from
from commands.error import Contended, SignalboxError
from commands.metrics_store import (
    IngestPoints,
    IngestResult,
    Point,
    PointsResult,
    QueryPoints,
    canonical_labels,
)
from commands.scope import ResourceKind

Item = tuple[IngestPoints, Call]


def open_adapter(context: AdapterContext) -> MetricsStore:
    """The adapter of one route. Raises InvalidRouteConfig; nothing is called before a command."""
    return FirestoreMetricsStore(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no Firestore route can have. No call out."""
    read_config(config, ResourceKind.METRICS_STORE)


class FirestoreMetricsStore:
    """The port on Firestore."""

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.METRICS_STORE)
        self._scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

    def ingest(self, command: IngestPoints, call: Call) -> IngestResult:
        """One request for up to 500 points."""
        answer = self.ingest_many([(command, call)])[0]
        if isinstance(answer, SignalboxError):
            raise answer
        return answer

    def ingest_many(self, items: Sequence[Item]) -> list[IngestResult | SignalboxError]:
        """One request for up to 500 points, whichever commands they are of; two more where
        some are there already."""
        failed: dict[int, SignalboxError] = {
            number: located(error, self._scope)
            for number, (_, call) in enumerate(items)
            if (error := lapsed(call)) is not None
        }
        newest: dict[str, Message] = {}
        wanted_by: dict[str, list[int]] = {}
        for number, (command, call) in sorted(enumerate(items), key=lambda item: item[1][1].seq):
            if number in failed:
                continue
            for point in command.points:
                document = self._document(point, call)
                newest[document.name] = document
                wanted_by.setdefault(document.name, []).append(number)
        documents = list(newest.values())
        for group in groups([document.ByteSize() for document in documents]):
            part = documents[group.start : group.stop]
            lease = earliest([items[n][1] for document in part for n in wanted_by[document.name]])
            for document, failure in zip(part, self._store(part, lease), strict=True):
                if failure is not None:
                    for number in wanted_by[document.name]:
                        failed.setdefault(number, failure)
        return [
            failed.get(number) or IngestResult(points=len(command.points))
            for number, (command, _) in enumerate(items)
        ]

    def query(self, command: QueryPoints, call: Call) -> PointsResult:
        """Reads the points of the range, whatever their labels; for a page of plain points
        little more than the page."""
        with firestore_errors(self._scope):
            collection = self._collection(command.series)
            plain = command.aggregation is None and not command.labels
            documents = self._database.walk(
                collection,
                call,
                start=_cursor(collection, time_id(read_from(command))),
                end=_cursor(collection, time_id(command.end)),
                first=min(CHUNK, command.limit + 1) if plain else CHUNK,
            )
            return page_of(command, points_of(documents))

    def close(self) -> None:
        """Nothing to give back: the channels belong to the process."""

    def _store(self, part: list[Message], lease: Call) -> list[SignalboxError | None]:
        try:
            with firestore_errors(self._scope):
                ends = write_points(self._database, part, lease)
        except SignalboxError as error:
            return [error] * len(part)
        return [None if end is None else self._error(end) for end in ends]

    def _document(self, point: Point, call: Call) -> Message:
        labels = canonical_labels(point.labels)
        document = new_document(
            self._collection(point.series).document(point_id(point.timestamp, labels))
        )
        set_value(document.fields["labels"], labels)
        set_value(document.fields["seq"], call.seq)
        set_value(document.fields["value"], point.value)
        return document

    def _error(self, failure: Exception) -> SignalboxError:
        error = (
            translate(failure)
            if isinstance(failure, api.GoogleAPICallError)
            else Contended("the point changed under each look", next_step="it is tried again")
        )
        return located(error, self._scope)

    def _collection(self, series: str) -> Collection:
        return self._layout.collection("series", series, "points")


def _cursor(collection: Collection, document_id: str) -> Message:
    cursor = CursorPb(before=True)
    cursor.values.add(reference_value=collection.document(document_id))
    return cursor
