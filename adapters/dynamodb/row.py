"""Rows as items, and what a write on one comes to; no calls.

A row's item holds `seq` (of the command that wrote it) and `row`, its data. A deletion leaves a
tombstone, without `row` but with `expires`, so that an older write that comes late finds the newer
one's trace.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from adapters.dynamodb.item import Item, fitting, from_json, keyed, number, read_integer, to_json
from adapters.dynamodb.key import Key
from adapters.dynamodb.table import Table
from adapters.port import Call
from commands.error import AlreadyExists, PreconditionFailed
from commands.tabular_store import DeleteRow, Row, UpsertRow

TOMBSTONE_KEPT = timedelta(days=7)
"""Far longer than any worker can be frozen and still hold a command."""

_FENCE = "(attribute_not_exists(#seq) OR #seq < :seq)"


def upsert_put(table: Table, key: Key, command: UpsertRow, call: Call) -> dict[str, Any]:
    """The put of the row. Raises TooLarge."""
    item = keyed(key, seq=number(call.seq), row={"S": to_json(command.data)})
    condition = command.condition
    return _put(table, fitting(item, "the row"), call, condition.if_absent, condition.if_revision)


def delete_put(table: Table, key: Key, command: DeleteRow, call: Call) -> dict[str, Any]:
    """The put of a tombstone, also where there is no row."""
    expires = int(time.time() + TOMBSTONE_KEPT.total_seconds())
    item = keyed(key, seq=number(call.seq), expires=number(expires))
    return _put(table, item, call, False, command.if_revision)


def _put(
    table: Table, item: Item, call: Call, if_absent: bool, if_revision: int | None
) -> dict[str, Any]:
    values: Item = {":seq": number(call.seq)}
    names = {"#seq": "seq"}
    expression = _FENCE
    if if_absent:
        expression += " AND attribute_not_exists(#row)"
        names["#row"] = "row"
    elif if_revision is not None:
        expression += " AND #seq = :revision AND attribute_exists(#row)"
        names["#row"] = "row"
        values[":revision"] = number(if_revision)
    return table.condition(item, expression, names, values)


@dataclass(frozen=True)
class _Trace:
    """What the last write on a row left there."""

    seq: int
    gone: bool

    @classmethod
    def of(cls, found: Item | None) -> _Trace:
        return (
            cls(0, True) if found is None else cls(read_integer(found, "seq"), "row" not in found)
        )


def is_done(found: Item | None, command: UpsertRow | DeleteRow, call: Call) -> bool:
    """Whether a put that was refused by what was `found` had nothing left to do: its command had
    done it already, or a newer one came after.

    Raises AlreadyExists and PreconditionFailed where the command's condition does not hold.
    """
    trace = _Trace.of(found)
    if trace.seq == call.seq and trace.gone == isinstance(command, DeleteRow):
        return True
    overtaken = trace.seq > call.seq
    if not (overtaken and call.takeover):
        _check(trace, command)
    return overtaken


def row_of(item: Item) -> Row | None:
    """The row in an item; None for a tombstone."""
    if "row" not in item:
        return None
    return Row(
        key=bytes(item["sk"]["B"]).decode(),
        data=from_json(item["row"]["S"]),
        revision=read_integer(item, "seq"),
    )


def _check(trace: _Trace, command: UpsertRow | DeleteRow) -> None:
    if isinstance(command, UpsertRow):
        if command.condition.if_absent and not trace.gone:
            raise AlreadyExists(
                "there is a row with this key", next_step="take another key, or drop if_absent"
            )
        wanted = command.condition.if_revision
    else:
        wanted = command.if_revision
    if wanted is not None and (trace.gone or trace.seq != wanted):
        found = "there is no row" if trace.gone else f"the row has revision {trace.seq}"
        raise PreconditionFailed(
            f"{found}, if_revision demands {wanted}", next_step="read it again and decide anew"
        )
