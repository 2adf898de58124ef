"""Events as documents; no calls.

An event's document is named by the event's id, so that it is there once, and holds its `version`.
The stream's own document, the head, holds the version of the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.firestore.message import (
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
from adapters.firestore.name import Collection
from adapters.port import Call
from adapters.stored import readable
from commands.event_stream import AppendEvent, StoredEvent

KNOWN_FIELDS = ("version", "op")
"""What an append must know of a document: an event, or a head."""


@dataclass
class Head:
    """Where a stream ends: as it was found, and with what is being added."""

    collection: Collection
    found: Message | None
    version: int

    @classmethod
    def of(cls, collection: Collection, found: Message | None) -> Head:
        return cls(collection, found, _version(found))

    @property
    def grown(self) -> bool:
        return self.version != _version(self.found)

    def write(self) -> Message:
        """Only over the head that was found: so of two that append at once one looks again."""
        document = new_document(self.collection.parent)
        set_value(document.fields["version"], self.version)
        return put(document, self.found)


def _version(head: Message | None) -> int:
    return integer(head.fields, "version") if head is not None else 0


def event_document(name: str, command: AppendEvent, call: Call, version: int) -> Message:
    event = command.event
    document = new_document(name)
    fields = document.fields
    set_value(fields["version"], version)
    set_value(fields["op"], call.mark)
    set_value(fields["id"], command.event_id)
    set_value(fields["type"], event.type)
    set_value(fields["time"], event.time)
    set_value(fields["recorded_at"], datetime.now(UTC))
    # As text: one entry in the index instead of one for each field.
    set_value(fields["data"], to_json(event.data))
    return document


def stored_event(document: Message) -> StoredEvent:
    """Raises IntegrityMismatch."""
    fields = document.fields
    with readable("an event"):
        return StoredEvent(
            version=integer(fields, "version"),
            id=text(fields, "id"),
            type=text(fields, "type"),
            time=get_value(fields["time"]),
            data=from_json(text(fields, "data")),
            recorded_at=get_value(fields["recorded_at"]),
        )
