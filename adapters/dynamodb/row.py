"""Rows as items, and what a write on one comes to; no calls.

A row's item holds `seq` (of the command that wrote it), `row`, its data, and `mark` as `kept_mark`
gives it. A deletion leaves a tombstone, without `row` but with `expires`, so that an older write
that comes late finds the newer one's trace.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from adapters.dynamodb.item import (
    Item,
    fitting,
    from_json,
    keyed,
    number,
    read_integer,
    read_text,
    to_json,
)
from adapters.dynamodb.key import Key
from adapters.dynamodb.table import Table
from adapters.port import Call
from adapters.row_condition import Trace, demand, kept_mark
from adapters.stored import readable
from commands.tabular_store import DeleteRow, Row, UpsertRow

TOMBSTONE_KEPT = timedelta(days=7)
"""Far longer than a worker can be frozen and still hold a command; as old as a backup of the
ledger may be when it is restored."""

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
    mark = kept_mark(call)
    if mark is not None:
        item["mark"] = {"S": mark}
    values: Item = {":seq": number(call.seq)}
    names = {"#seq": "seq"}
    demanded = ""
    if if_absent:
        demanded = "attribute_not_exists(#row)"
    elif if_revision is not None:
        demanded = "#seq = :revision AND attribute_exists(#row)"
        values[":revision"] = number(if_revision)
    if not demanded:
        return table.condition(item, _FENCE, names, values)
    names["#row"] = "row"
    if mark is not None:
        # Replayed: what an earlier acceptance wrote is this command's own, and bears its mark.
        own = "#mark = :mark"
        names["#mark"], values[":mark"] = "mark", {"S": mark}
        if mark.isdecimal():
            own += " OR (#seq = :first AND attribute_not_exists(#mark))"
            values[":first"] = {"N": mark}
        demanded = f"({demanded}) OR {own}"
    return table.condition(item, f"{_FENCE} AND ({demanded})", names, values)


def superseded(found: Item | None, command: UpsertRow | DeleteRow, call: Call) -> bool | None:
    """What a put that was refused by what was `found` comes to: whether a newer command kept it
    out; None if nothing did, so that it is to be tried again.

    Raises AlreadyExists and PreconditionFailed where the command's condition does not hold.
    """
    trace = _trace_of(found)
    demand(command, trace, call)
    return None if trace.seq < call.seq else trace.supersedes(call)


def row_of(item: Item) -> Row | None:
    """The row in an item; None for a tombstone."""
    if "row" not in item:
        return None
    with readable("a row"):
        return Row(
            key=bytes(item["sk"]["B"]).decode(),
            data=from_json(item["row"]["S"]),
            revision=read_integer(item, "seq"),
        )


def _trace_of(found: Item | None) -> Trace:
    if found is None:
        return Trace()
    mark = read_text(found, "mark") if "mark" in found else None
    return Trace(read_integer(found, "seq"), "row" not in found, mark)
