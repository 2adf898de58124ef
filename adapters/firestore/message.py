"""Firestore's messages as plain protobuf, and typed values in them.

The SDK's own classes wrap each message in another object, which takes ten times as long for a
batch; its calls accept plain messages that are wrapped once.

A row's columns have Firestore's own types, so that it can compare them. A list or an object is
stored as its JSON form in `{"json": …}`: Firestore has no lists in lists, allows fewer levels than
a row, and would index every entry.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.cloud.firestore_v1.types import common, document, firestore, query, write

from signalbox.adapters.stored import damaged
from signalbox.commands.value import Data, Value, json_form, read_value

Message = Any
"""A protobuf message, which has no types for mypy here."""

ValuePb: Final[Any] = document.Value.pb()
DocumentPb: Final[Any] = document.Document.pb()
WritePb: Final[Any] = write.Write.pb()
PreconditionPb: Final[Any] = common.Precondition.pb()
MaskPb: Final[Any] = common.DocumentMask.pb()
StructuredQueryPb: Final[Any] = query.StructuredQuery.pb()
CursorPb: Final[Any] = query.Cursor.pb()
BatchGet = firestore.BatchGetDocumentsRequest
RunQuery = firestore.RunQueryRequest
ListDocuments = firestore.ListDocumentsRequest
Commit = firestore.CommitRequest
BatchWrite = firestore.BatchWriteRequest

_PLAIN = frozenset(
    ("boolean_value", "integer_value", "double_value", "string_value", "bytes_value")
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def set_value(slot: Message, value: Value) -> None:
    """Write a typed value into a protobuf Value."""
    if value is None:
        slot.null_value = 0
    elif isinstance(value, bool):
        slot.boolean_value = value
    elif isinstance(value, int):
        slot.integer_value = value
    elif isinstance(value, float):
        slot.double_value = value
    elif isinstance(value, str):
        slot.string_value = value
    elif isinstance(value, bytes):
        slot.bytes_value = value
    elif isinstance(value, datetime):
        seconds, rest = divmod(value - _EPOCH, _SECOND)
        slot.timestamp_value.seconds = seconds
        slot.timestamp_value.nanos = rest.microseconds * 1000
    else:
        slot.map_value.fields["json"].string_value = to_json(value)


def get_value(slot: Message) -> Value:
    """Return the typed value of a protobuf Value."""
    which = slot.WhichOneof("value_type")
    if which == "null_value":
        return None
    if which == "timestamp_value":
        moment = slot.timestamp_value
        return _EPOCH + timedelta(seconds=moment.seconds, microseconds=moment.nanos // 1000)
    if which == "map_value":
        return from_json(text(slot.map_value.fields, "json"))
    if which not in _PLAIN:
        raise TypeError(which)
    return getattr(slot, which)


def typed(fields: Message, name: str, kind: str) -> Any:
    """Return the value of a field that must have this type. Raises IntegrityMismatch."""
    slot = fields.get(name)
    if slot is None or slot.WhichOneof("value_type") != kind:
        raise damaged(f"the field {name} of a document", TypeError())
    return getattr(slot, kind)


def integer(fields: Message, name: str) -> int:
    """Return an integer field. Raises IntegrityMismatch."""
    return int(typed(fields, name, "integer_value"))


def text(fields: Message, name: str) -> str:
    """Return a text field. Raises IntegrityMismatch."""
    return str(typed(fields, name, "string_value"))


def set_data(fields: Message, data: Data) -> None:
    """Write a row's columns into the fields of a map."""
    for name, value in data.items():
        set_value(fields[field_name(name)], value)


def get_data(fields: Message) -> Data:
    """Return a row's columns from the fields of a map."""
    return {column_name(name): get_value(slot) for name, slot in fields.items()}


def field_name(column: str) -> str:
    """Return a column's field name.

    `__x__` is reserved by Firestore, so `__` and `~` are prefixed by `~`.
    """
    return f"~{column}" if column.startswith(("__", "~")) else column


def column_name(field: str) -> str:
    """Return the column's name of a field."""
    return field[1:] if field.startswith("~") else field


def to_json(value: Value) -> str:
    """Return a typed value as text; `from_json` returns an equal one."""
    return json.dumps(json_form(value), ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Value:
    """Return the value of `to_json`."""
    return read_value(json.loads(text))


def new_document(name: str) -> Message:
    """Return a document without fields."""
    return DocumentPb(name=name)


def put(document: Message, found: Message | None) -> Message:
    """Return the write of a document, on condition that it is still as `found` (None: missing)."""
    made = WritePb(update=document)
    if found is None:
        made.current_document.exists = False
    else:
        made.current_document.update_time.CopyFrom(found.update_time)
    return made
