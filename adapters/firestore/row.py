"""Rows as Firestore documents; makes no calls.

A row's document has `key`, `seq`, `data` and `mark`. A tombstone has `gone` and `expires` instead
of `data`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from signalbox.adapters.firestore.failure import too_large
from signalbox.adapters.firestore.message import (
    Message,
    get_data,
    integer,
    new_document,
    put,
    set_data,
    set_value,
    text,
    typed,
)
from signalbox.adapters.row_condition import TOMBSTONE_KEPT, Trace
from signalbox.adapters.stored import readable
from signalbox.adapters.table_driver import RowWrite
from signalbox.commands.tabular_store import Row

TRACE_FIELDS = ("seq", "gone", "mark")
"""The fields that a writer must read."""
MAX_DOCUMENT_BYTES = 1024 * 1024 - 2048


def trace_of(document: Message) -> Trace:
    """Return what the last write left in the document."""
    fields = document.fields
    mark = text(fields, "mark") if "mark" in fields else None
    return Trace(integer(fields, "seq"), "gone" in fields, mark, document)


def write_of(name: str, write: RowWrite) -> Message:
    """Return the write of the row or tombstone, replacing what was found. Raises TooLarge."""
    document = new_document(name)
    fields = document.fields
    set_value(fields["key"], write.row[1])
    set_value(fields["seq"], write.seq)
    if write.mark is not None:
        set_value(fields["mark"], write.mark)
    if write.data is None:
        set_value(fields["gone"], True)
        set_value(fields["expires"], datetime.now(UTC) + TOMBSTONE_KEPT)
    else:
        # An empty object must be stored too.
        fields["data"].map_value.SetInParent()
        set_data(fields["data"].map_value.fields, write.data)
        if document.ByteSize() > MAX_DOCUMENT_BYTES:
            raise too_large("the row")
    return put(document, write.over.token if write.over is not None else None)


def row_of(document: Message) -> Row | None:
    """Return the row in a document; None for a tombstone. Raises IntegrityMismatch."""
    fields = document.fields
    if "gone" in fields:
        return None
    with readable("a row"):
        return Row(
            key=text(fields, "key"),
            data=get_data(typed(fields, "data", "map_value").fields),
            revision=integer(fields, "seq"),
        )
