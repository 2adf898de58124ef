"""Metrics driver for Firestore: a document for each point, named by series, time and labels.

A document has `labels`, `value` and `seq`. It is created without a look, and replaced only if it is
still as it was seen.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from signalbox.adapters.firestore import database
from signalbox.adapters.firestore.config import read_config
from signalbox.adapters.firestore.database import CHUNK, REQUEST, Database
from signalbox.adapters.firestore.failure import SERVICE
from signalbox.adapters.firestore.message import (
    CursorPb,
    Message,
    integer,
    new_document,
    put,
    set_value,
)
from signalbox.adapters.firestore.name import Collection, Layout, point_id, time_id
from signalbox.adapters.firestore.name_page import names_page
from signalbox.adapters.firestore.point import points_of
from signalbox.adapters.metrics_driver import Changed, MetricsTraits, PointWrite, SeenPoint
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.commands.metrics_store import Point, PointValue, QueryPoints, canonical_labels
from signalbox.commands.scope import ResourceKind


def open_driver(context: AdapterContext) -> FirestoreMetricsDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return FirestoreMetricsDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.METRICS_STORE)


class FirestoreMetricsDriver:
    """A RecordMetricsDriver. Stores up to 500 points with a request, three if some exist."""

    service = SERVICE
    traits = MetricsTraits(request=REQUEST)

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.METRICS_STORE)
        self.scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    def record(self, point: Point, seq: int) -> tuple[str, Message]:
        labels = canonical_labels(point.labels)
        name = self._collection(point.series).document(point_id(point.timestamp, labels))
        document = new_document(name)
        set_value(document.fields["labels"], labels)
        set_value(document.fields["seq"], seq)
        set_value(document.fields["value"], point.value)
        return name, document

    def ahead(self, point: Point) -> list[tuple[str, Message]]:  # noqa: ARG002 - nothing is
        return []

    def size(self, record: Message) -> int:
        return int(record.ByteSize())

    def store(self, writes: Sequence[PointWrite], limit: TimeLimit) -> list[Exception | None]:
        ends = self._database.write_each(
            [put(write.record, write.over.token if write.over else None) for write in writes],
            limit,
        )
        return [Changed() if isinstance(end, database.Changed) else end for end in ends]

    def look(self, names: Sequence[Hashable], limit: TimeLimit) -> dict[Hashable, SeenPoint]:
        found = self._database.read([str(name) for name in names], limit, "seq")
        return {
            name: SeenPoint(integer(document.fields, "seq"), document)
            for name, document in found.items()
            if document is not None
        }

    @contextmanager
    def walk(
        self, query: QueryPoints, start: datetime, limit: TimeLimit
    ) -> Iterator[Iterator[PointValue]]:
        collection = self._collection(query.series)
        plain = query.aggregation is None and not query.labels
        documents = self._database.walk(
            collection,
            limit,
            start=_cursor(collection, time_id(start)),
            end=_cursor(collection, time_id(query.end)),
            first=min(CHUNK, query.limit + 1) if plain else CHUNK,
        )
        yield points_of(documents)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._database, self._layout.groups("series"), query, limit)

    def close(self) -> None:
        """Do nothing: the channels belong to the process."""

    def _collection(self, series: str) -> Collection:
        return self._layout.collection("series", series, "points")


def _cursor(collection: Collection, document_id: str) -> Message:
    cursor = CursorPb(before=True)
    cursor.values.add(reference_value=collection.document(document_id))
    return cursor
