"""Events as items; no calls.

An event's item is named by its version, so that a range of them is read in order; a mark, named by
the event's id, says which version it has, and the head which is the stream's last.
"""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.dynamodb.item import (
    Item,
    fitting,
    from_json,
    keyed,
    number,
    read_integer,
    to_json,
)
from adapters.dynamodb.key import Key
from adapters.port import Call
from adapters.stored import readable
from commands.event_stream import AppendEvent, StoredEvent


def event_item(key: Key, command: AppendEvent, call: Call, version: int) -> Item:
    """The item of an event. Raises TooLarge."""
    event = command.event
    item = keyed(
        key,
        version=number(version),
        op={"S": call.mark},
        id={"S": command.event_id},
        type={"S": event.type},
        recorded_at={"S": datetime.now(UTC).isoformat()},
        data={"S": to_json(event.data)},
    )
    if event.time is not None:
        item["time"] = {"S": event.time.isoformat()}
    return fitting(item, "the event")


def stored_event(item: Item) -> StoredEvent:
    """Raises IntegrityMismatch."""
    with readable("an event"):
        return StoredEvent(
            version=read_integer(item, "version"),
            id=item["id"]["S"],
            type=item["type"]["S"],
            time=datetime.fromisoformat(item["time"]["S"]) if "time" in item else None,
            data=from_json(item["data"]["S"]),
            recorded_at=datetime.fromisoformat(item["recorded_at"]["S"]),
        )
