"""Rows as documents, and what a write on one comes to; no calls.

A row's document holds `key`, `seq` (of the command that wrote it) and `data`. A deletion leaves
a tombstone, without `data` but with `gone` and `expires`, so that an older write that comes late
finds the newer one's trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from adapters.firestore.failure import too_large
from adapters.firestore.message import Message, get_data, new_document, put, set_data, set_value
from adapters.port import Call
from commands.error import AlreadyExists, PreconditionFailed
from commands.tabular_store import DeleteRow, Row, UpsertRow

TRACE_FIELDS = ("seq", "gone")
"""What a writer must know of a document."""
TOMBSTONE_KEPT = timedelta(days=7)
"""Far longer than any worker can be frozen and still hold a command."""
MOST_DOCUMENT_BYTES = 1024 * 1024 - 2048


@dataclass(frozen=True)
class Trace:
    """What the last write on a row left there."""

    document: Message | None
    seq: int = 0
    gone: bool = True

    @classmethod
    def of(cls, document: Message | None) -> Trace:
        if document is None:
            return cls(None)
        gone = "gone" in document.fields
        return cls(document, document.fields["seq"].integer_value, gone)

    @property
    def revision(self) -> int | None:
        """Of the row; None where there is none."""
        return None if self.gone else self.seq


def is_done(trace: Trace, command: UpsertRow | DeleteRow, call: Call) -> bool:
    """Whether nothing is to be written: this command did it already, or a newer one came after.

    Raises AlreadyExists and PreconditionFailed where the command's condition does not hold.
    """
    if trace.seq == call.seq and trace.gone == isinstance(command, DeleteRow):
        return True
    overtaken = trace.seq > call.seq
    if not (overtaken and call.takeover):
        _check(trace, command)
    return overtaken


def upsert_write(name: str, trace: Trace, command: UpsertRow, call: Call) -> Message:
    """The write of the row over what was found. Raises TooLarge."""
    document = new_document(name)
    set_value(document.fields["key"], command.key)
    set_value(document.fields["seq"], call.seq)
    # An empty object too is to be there.
    document.fields["data"].map_value.SetInParent()
    set_data(document.fields["data"].map_value.fields, command.data)
    if document.ByteSize() > MOST_DOCUMENT_BYTES:
        raise too_large("the row")
    return put(document, trace.document)


def delete_write(name: str, trace: Trace, command: DeleteRow, call: Call) -> Message:
    """The write of a tombstone over what was found, or where nothing was."""
    document = new_document(name)
    set_value(document.fields["key"], command.key)
    set_value(document.fields["seq"], call.seq)
    set_value(document.fields["gone"], True)
    set_value(document.fields["expires"], datetime.now(UTC) + TOMBSTONE_KEPT)
    return put(document, trace.document)


def row_of(document: Message) -> Row | None:
    """The row in a document; None for a tombstone."""
    fields = document.fields
    if "gone" in fields:
        return None
    return Row(
        key=fields["key"].string_value,
        data=get_data(fields["data"].map_value.fields),
        revision=fields["seq"].integer_value,
    )


def _check(trace: Trace, command: UpsertRow | DeleteRow) -> None:
    if isinstance(command, UpsertRow):
        if command.condition.if_absent and not trace.gone:
            raise AlreadyExists(
                "there is a row with this key", next_step="take another key, or drop if_absent"
            )
        wanted = command.condition.if_revision
    else:
        wanted = command.if_revision
    if wanted is not None and trace.revision != wanted:
        found = "there is no row" if trace.gone else f"the row has revision {trace.revision}"
        raise PreconditionFailed(
            f"{found}, if_revision demands {wanted}", next_step="read it again and decide anew"
        )
