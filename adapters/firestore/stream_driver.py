"""Stream driver for Firestore: a document for each event, and a head per stream.

An event's document is named by the event's id, so that it exists once, and has its `version`. The
stream's own document, the head, has the last version. Both are written in one commit, on condition
that the head is as it was read; so versions have no gap, and no reader sees one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from signalbox.adapters.batch import RequestSize
from signalbox.adapters.firestore import database
from signalbox.adapters.firestore.config import read_config
from signalbox.adapters.firestore.database import CHUNK, MAX_BYTES, Database, room
from signalbox.adapters.firestore.failure import SERVICE, too_large
from signalbox.adapters.firestore.message import (
    CursorPb,
    Message,
    from_json,
    get_value,
    integer,
    new_document,
    put,
    set_value,
    text,
    to_json,
)
from signalbox.adapters.firestore.name import Collection as Documents
from signalbox.adapters.firestore.name import Layout, segment
from signalbox.adapters.firestore.name_page import names_page
from signalbox.adapters.firestore.row import MAX_DOCUMENT_BYTES
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.stored import readable
from signalbox.adapters.stream_driver import Changed, NewEvent, StreamEnd, StreamTraits
from signalbox.commands.event_stream import StoredEvent
from signalbox.commands.scope import ResourceKind
from signalbox.commands.value import MAX_INT, data_size

MAX_EVENTS = 250
"""Maximum events in one commit, so that with their heads there are at most 500 writes."""


def open_driver(context: AdapterContext) -> FirestoreStreamDriver:
    """Open the driver of a route; makes no network call. Raises InvalidRouteConfig."""
    return FirestoreStreamDriver(context)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_config(config, ResourceKind.EVENT_STREAM)


class FirestoreStreamDriver:
    """A StreamDriver. A session takes two requests, a page one per 300 events.

    A session has up to 250 events of any streams.
    """

    service = SERVICE
    traits = StreamTraits(request=RequestSize(MAX_EVENTS, MAX_BYTES), room=room)

    def __init__(self, context: AdapterContext) -> None:
        config = read_config(context.config, ResourceKind.EVENT_STREAM)
        self.scope = context.scope
        self._layout = Layout.of(config, context.scope)
        self._database = Database(config)

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[_Session]:
        yield _Session(self._database, self._layout, limit)

    @contextmanager
    def read(
        self, stream: str, after: int, count: int, limit: TimeLimit
    ) -> Iterator[Iterator[tuple[StoredEvent, int]]]:
        start = CursorPb(before=False)
        start.values.add(integer_value=min(after, MAX_INT))
        documents = self._database.walk(
            _documents(self._layout, stream),
            limit,
            order="version",
            start=start,
            first=min(CHUNK, count),
            fields_of_order=lambda document: document.fields["version"],
        )
        yield map(_stored, documents)

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        return names_page(self._database, self._layout.groups("streams"), query, limit)

    def close(self) -> None:
        """Do nothing: the channels belong to the process."""


class _Session:
    def __init__(self, base: Database, layout: Layout, limit: TimeLimit) -> None:
        self._database, self._layout, self._limit = base, layout, limit
        self._heads: dict[str, Message | None] = {}
        self._documents: dict[str, Documents] = {}

    def look(self, wanted: Mapping[str, Collection[str]]) -> dict[str, StreamEnd]:
        self._documents = {stream: _documents(self._layout, stream) for stream in wanted}
        names = {
            (stream, event_id): self._documents[stream].document(segment(event_id))
            for stream, ids in wanted.items()
            for event_id in ids
        }
        heads = {stream: documents.parent for stream, documents in self._documents.items()}
        asked = [*heads.values(), *dict.fromkeys(names.values())]
        found = self._database.read(asked, self._limit, "version", "op")
        self._heads = {stream: found[name] for stream, name in heads.items()}
        ends = {stream: StreamEnd(_version(head), {}) for stream, head in self._heads.items()}
        for (stream, event_id), name in names.items():
            if (there := found[name]) is not None:
                known = (integer(there.fields, "version"), text(there.fields, "op"))
                ends[stream].events[event_id] = known
        return ends

    def record(self, event: NewEvent) -> tuple[str, int, Message]:
        """Return the document with its stream and version."""
        document = new_document(self._documents[event.stream].document(segment(event.id)))
        fields = document.fields
        set_value(fields["version"], event.version)
        set_value(fields["op"], event.writer)
        set_value(fields["id"], event.id)
        set_value(fields["type"], event.event.type)
        set_value(fields["time"], event.event.time)
        set_value(fields["recorded_at"], event.recorded_at)
        # As text, which is one entry in the index instead of one for each field.
        set_value(fields["data"], to_json(event.event.data))
        if document.ByteSize() > MAX_DOCUMENT_BYTES:
            raise too_large("the event")
        return event.stream, event.version, document

    def append(self, records: Sequence[tuple[str, int, Message]]) -> None:
        ends = {stream: version for stream, version, _ in records}
        writes = [self._head(stream, version) for stream, version in ends.items()]
        writes += [put(document, None) for _, _, document in records]
        try:
            self._database.commit(writes, self._limit)
        except database.Changed:
            raise Changed from None

    def _head(self, stream: str, version: int) -> Message:
        """Return the write of the head, on condition that it is still as it was found.

        Of two concurrent appends, one is therefore refused and looks again.
        """
        document = new_document(self._documents[stream].parent)
        set_value(document.fields["version"], version)
        return put(document, self._heads[stream])


def _documents(layout: Layout, stream: str) -> Documents:
    return layout.collection("streams", stream, "events")


def _version(head: Message | None) -> int:
    return integer(head.fields, "version") if head is not None else 0


def _stored(document: Message) -> tuple[StoredEvent, int]:
    fields = document.fields
    with readable("an event"):
        event = StoredEvent(
            version=integer(fields, "version"),
            id=text(fields, "id"),
            type=text(fields, "type"),
            time=get_value(fields["time"]),
            data=from_json(text(fields, "data")),
            recorded_at=get_value(fields["recorded_at"]),
        )
        return event, data_size(event.data)
