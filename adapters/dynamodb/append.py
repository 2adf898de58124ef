"""One transaction's worth of appends: look at heads and marks, number the events, write it all."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.dynamodb.batch import earliest
from adapters.dynamodb.event import event_item
from adapters.dynamodb.failure import translate_reason
from adapters.dynamodb.item import Item, keyed, number, read_integer, read_text
from adapters.dynamodb.key import Key, Layout
from adapters.dynamodb.table import Cancelled, Table
from adapters.port import Call
from commands.error import Contended, PreconditionFailed, SignalboxError, TooLarge
from commands.event_stream import AppendEvent, AppendResult

LOOKS = 8
PAUSE = 0.02
"""Seconds at most before the second look; doubles with each."""
_CHANGED = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})

Answer = AppendResult | SignalboxError


def append_group(
    table: Table, layout: Layout, items: Sequence[tuple[AppendEvent, Call]]
) -> list[Answer]:
    """An answer for each, in order; all are added, or none. An event takes two of a transaction's
    hundred items, and a stream one.

    Raises botocore's errors, LeaseExpired, and Throttled or Contended where it is of no use to
    go on.
    """
    lease = earliest([call for _, call in items])
    for look in range(LOOKS):
        turn = _Turn(table, layout, items, lease)
        answers = [turn.answer(command, call) for command, call in items]
        if not turn.puts:
            return answers
        try:
            table.transact(turn.all_puts(), lease)
            return answers
        except Cancelled as cancelled:
            for code, _ in cancelled.reasons:
                if code not in _CHANGED:
                    raise translate_reason(code) from None
        # Writers that met once would meet again, if they came back in step.
        time.sleep(min(random.uniform(0, PAUSE * 2**look), lease.remaining()))
    raise Contended(f"the stream grew under each of {LOOKS} looks", next_step="it is tried again")


@dataclass
class _Head:
    """Where a stream ends: as it was found, and with what is being added."""

    found: int
    version: int


class _Turn:
    """What one look found, and what is to be written over it."""

    def __init__(
        self,
        table: Table,
        layout: Layout,
        items: Sequence[tuple[AppendEvent, Call]],
        lease: Call,
    ) -> None:
        self.puts: list[dict[str, Any]] = []
        self._table, self._layout = table, layout
        streams = dict.fromkeys(command.stream for command, _ in items)
        marks = dict.fromkeys(layout.mark(c.stream, c.event_id) for c, _ in items)
        heads = {stream: layout.head(stream) for stream in streams}
        there = table.read([*heads.values(), *marks], lease, "version", "op")
        self._heads: dict[str, _Head] = {}
        for stream, key in heads.items():
            version = read_integer(there.get(key, {}), "version")
            self._heads[stream] = _Head(version, version)
        self._known = {
            key: (read_integer(there[key], "version"), read_text(there[key], "op"))
            for key in marks
            if key in there
        }

    def answer(self, command: AppendEvent, call: Call) -> Answer:
        mark = self._layout.mark(command.stream, command.event_id)
        head = self._heads[command.stream]
        if mark in self._known:
            version, by = self._known[mark]
            return _result(command, version, duplicate=by != call.mark)
        if command.expected_version not in (None, head.version):
            return PreconditionFailed(
                f"the stream ends at version {head.version}, "
                f"expected_version demands {command.expected_version}",
                next_step="read on and decide anew",
            )
        version = head.version + 1
        try:
            item = event_item(self._layout.event(command.stream, version), command, call, version)
        except TooLarge as error:
            return error
        self._put_new(item)
        self._put_new(keyed(mark, version=number(version), op={"S": call.mark}))
        head.version = version
        self._known[mark] = (version, call.mark)
        return _result(command, version, duplicate=False)

    def all_puts(self) -> list[dict[str, Any]]:
        grown = {name: head for name, head in self._heads.items() if head.version != head.found}
        return [*(self._put_head(self._layout.head(n), grown[n]) for n in grown), *self.puts]

    def _put_new(self, item: Item) -> None:
        self.puts.append(
            self._table.condition(item, "attribute_not_exists(#pk)", {"#pk": "pk"}, {})
        )

    def _put_head(self, key: Key, head: _Head) -> dict[str, Any]:
        """Only over the head that was found: so of two that append at once one looks again."""
        item = keyed(key, version=number(head.version))
        if head.found == 0:
            return self._table.condition(item, "attribute_not_exists(#pk)", {"#pk": "pk"}, {})
        values: Item = {":found": number(head.found)}
        return self._table.condition(item, "#v = :found", {"#v": "version"}, values)


def _result(command: AppendEvent, version: int, *, duplicate: bool) -> AppendResult:
    return AppendResult(
        stream=command.stream, event_id=command.event_id, version=version, duplicate=duplicate
    )
