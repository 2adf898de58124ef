"""Each write of each kind: what comes before it, what is newer, and what must be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from signalbox.adapters.port import Call
from signalbox.commands.error import NotFound
from signalbox.commands.event_stream import AppendEvent, Event, ReadEvents
from signalbox.commands.metrics_store import IngestPoints, Point, QueryPoints
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    PutObject,
    RegisterObject,
)
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import DeleteRow, GetRow, RowCondition, UpsertRow
from tests.chaos.load import ORIGIN, PLACE

Found = list[str]
"""What stands under a name: one value, none, or several where several belong there."""
Make = Callable[[str, str], Command]
"""A command on a name, with a value."""


@dataclass(frozen=True)
class Write:
    """A kind's write. Its effect is a value under a name."""

    name: str
    kind: ResourceKind
    struck: Make
    newer: Make
    find: Callable[[Any, Call, str], Found]
    before: Make | None = None
    """What must be there first."""
    after_struck: tuple[str, ...] = ("old",)
    after_newer: tuple[str, ...] = ("new",)
    """What must be found, without and with the newer command."""


def put(key: str, value: str) -> PutObject:
    # What comes first may be a creation: a takeover that took it for another's would be refused.
    condition = Condition(if_absent=value == "old")
    payload = InlinePayload(data=value.encode())
    fields = {"key": key, "payload": payload, "condition": condition}
    return PutObject.model_validate(PLACE | fields)


def replace(key: str, value: str) -> PutObject:
    payload = InlinePayload(data=value.encode())
    return PutObject.model_validate(PLACE | {"key": key, "payload": payload})


def delete(key: str, value: str) -> DeleteObject:
    return DeleteObject.model_validate(PLACE | {"key": key})


def register(key: str, value: str) -> RegisterObject:
    return RegisterObject.model_validate(PLACE | {"key": key, "metadata": {"by": value}})


def upsert(key: str, value: str) -> UpsertRow:
    condition = RowCondition(if_absent=value == "old")
    fields = {"table_name": "t", "key": key, "data": {"v": value}, "condition": condition}
    return UpsertRow.model_validate(PLACE | fields)


def delete_row(key: str, value: str) -> DeleteRow:
    return DeleteRow.model_validate(PLACE | {"table_name": "t", "key": key})


def ingest(name: str, value: str) -> IngestPoints:
    number = {"old": 1.0, "new": 2.0}[value]
    points = [
        Point(series=f"s-{name}", timestamp=ORIGIN + timedelta(seconds=step), value=number)
        for step in range(3)
    ]
    return IngestPoints.model_validate(PLACE | {"points": points})


def append(name: str, value: str) -> AppendEvent:
    event = Event(type="t", data={"v": value})
    return AppendEvent.model_validate(PLACE | {"stream": f"s-{name}", "event": event})


def object_found(store: Any, call: Call, key: str) -> Found:
    try:
        stream = store.get(GetObject.model_validate(PLACE | {"key": key}), call)
    except NotFound:
        return []
    with closing(stream.body) as body:
        return [body.read().decode()]


def row_found(store: Any, call: Call, key: str) -> Found:
    try:
        row = store.get(GetRow.model_validate(PLACE | {"table_name": "t", "key": key}), call)
    except NotFound:
        return []
    return [row.data["v"]]


def points_found(store: Any, call: Call, name: str) -> Found:
    span = {"start": ORIGIN, "end": ORIGIN + timedelta(days=1), "limit": 100}
    query = QueryPoints.model_validate(PLACE | span | {"series": f"s-{name}"})
    names = {1.0: "old", 2.0: "new"}
    return [names[point.value] for point in store.query(query, call).points]


def events_found(store: Any, call: Call, name: str) -> Found:
    read = ReadEvents.model_validate(PLACE | {"stream": f"s-{name}", "limit": 100})
    return [event.data["v"] for event in store.read(read, call).events]


OBJECTS, ROWS = ResourceKind.OBJECT_STORE, ResourceKind.TABULAR_STORE
POINTS, EVENTS = ResourceKind.METRICS_STORE, ResourceKind.EVENT_STREAM
WRITES: Sequence[Write] = (
    Write("put", OBJECTS, put, put, object_found),
    Write("replace", OBJECTS, replace, replace, object_found, before=put),
    Write("delete", OBJECTS, delete, put, object_found, before=put, after_struck=()),
    Write("register", OBJECTS, register, register, object_found, before=put, after_newer=("old",)),
    Write("upsert", ROWS, upsert, upsert, row_found),
    Write("delete row", ROWS, delete_row, upsert, row_found, before=upsert, after_struck=()),
    Write(
        "ingest",
        POINTS,
        ingest,
        ingest,
        points_found,
        after_struck=("old",) * 3,
        after_newer=("new",) * 3,
    ),
    Write("append", EVENTS, append, append, events_found, after_newer=("old", "new")),
)
