"""Rows as documents, and what a write on one comes to; no calls.

A row's document holds `key`, `seq` (of the command that wrote it), `data`, and `mark` as
`kept_mark` gives it. A deletion leaves a tombstone, without `data` but with `gone` and `expires`,
so that an older write that comes late finds the newer one's trace.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from adapters.firestore.failure import too_large
from adapters.firestore.message import (
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
from adapters.port import Call
from adapters.row_condition import Trace, kept_mark
from adapters.stored import readable
from commands.tabular_store import DeleteRow, Row, UpsertRow

TRACE_FIELDS = ("seq", "gone", "mark")
"""What a writer must know of a document."""
TOMBSTONE_KEPT = timedelta(days=7)
"""Far longer than a worker can be frozen and still hold a command; as old as a backup of the
ledger may be when it is restored."""
MOST_DOCUMENT_BYTES = 1024 * 1024 - 2048


def trace_of(document: Message | None) -> Trace:
    """What the last write left in the document."""
    if document is None:
        return Trace()
    fields = document.fields
    mark = text(fields, "mark") if "mark" in fields else None
    return Trace(integer(fields, "seq"), "gone" in fields, mark)


def upsert_write(name: str, found: Message | None, command: UpsertRow, call: Call) -> Message:
    """The write of the row over what was found. Raises TooLarge."""
    document = _traced(name, command, call)
    # An empty object too is to be there.
    document.fields["data"].map_value.SetInParent()
    set_data(document.fields["data"].map_value.fields, command.data)
    if document.ByteSize() > MOST_DOCUMENT_BYTES:
        raise too_large("the row")
    return put(document, found)


def delete_write(name: str, found: Message | None, command: DeleteRow, call: Call) -> Message:
    """The write of a tombstone over what was found, or where nothing was."""
    document = _traced(name, command, call)
    set_value(document.fields["gone"], True)
    set_value(document.fields["expires"], datetime.now(UTC) + TOMBSTONE_KEPT)
    return put(document, found)


def row_of(document: Message) -> Row | None:
    """The row in a document; None for a tombstone. Raises IntegrityMismatch."""
    fields = document.fields
    if "gone" in fields:
        return None
    with readable("a row"):
        return Row(
            key=text(fields, "key"),
            data=get_data(typed(fields, "data", "map_value").fields),
            revision=integer(fields, "seq"),
        )


def _traced(name: str, command: UpsertRow | DeleteRow, call: Call) -> Message:
    document = new_document(name)
    set_value(document.fields["key"], command.key)
    set_value(document.fields["seq"], call.seq)
    mark = kept_mark(call)
    if mark is not None:
        set_value(document.fields["mark"], mark)
    return document
