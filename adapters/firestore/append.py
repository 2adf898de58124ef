"""One commit's worth of appends: look at heads and ids, number the events, write all of it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from adapters.firestore.database import Changed, Database, earliest
from adapters.firestore.event import KNOWN_FIELDS, Head, event_document
from adapters.firestore.failure import too_large
from adapters.firestore.message import Message, integer, put, text
from adapters.firestore.name import Layout, segment
from adapters.firestore.row import MOST_DOCUMENT_BYTES
from adapters.port import Call
from commands.error import Contended, PreconditionFailed, SignalboxError
from commands.event_stream import AppendEvent, AppendResult

LOOKS = 8
PAUSE = 0.02
"""Seconds at most before the second look; doubles with each."""

Item = tuple[AppendEvent, Call]
Answer = AppendResult | SignalboxError


def append_group(database: Database, layout: Layout, items: Sequence[Item]) -> list[Answer]:
    """An answer for each, in order; all are added, or none.

    Raises the SDK's errors, LeaseExpired, and Contended where others keep appending.
    """
    lease = earliest([call for _, call in items])
    for look in range(LOOKS):
        turn = _Turn(database, layout, items, lease)
        answers = [turn.answer(command, call) for command, call in items]
        if not turn.events:
            return answers
        try:
            database.commit(turn.writes(), lease)
            return answers
        except Changed:
            # Writers that met once would meet again, if they came back in step.
            time.sleep(min(random.uniform(0, PAUSE * 2**look), lease.remaining()))
    raise Contended(f"the stream grew under each of {LOOKS} looks", next_step="it is tried again")


class _Turn:
    """What one look found, and what is to be written over it."""

    def __init__(
        self, database: Database, layout: Layout, items: Sequence[Item], lease: Call
    ) -> None:
        self.events: list[Message] = []
        streams = dict.fromkeys(command.stream for command, _ in items)
        places = {name: layout.collection("streams", name, "events") for name in streams}
        self._names = {
            (command.stream, command.event_id): places[command.stream].document(
                segment(command.event_id)
            )
            for command, _ in items
        }
        heads = [place.parent for place in places.values()]
        found = database.read([*heads, *self._names.values()], lease, *KNOWN_FIELDS)
        self._heads = {name: Head.of(place, found[place.parent]) for name, place in places.items()}
        self._known = {
            name: (integer(there.fields, "version"), text(there.fields, "op"))
            for name in self._names.values()
            if (there := found[name]) is not None
        }

    def answer(self, command: AppendEvent, call: Call) -> Answer:
        name = self._names[command.stream, command.event_id]
        head = self._heads[command.stream]
        if name in self._known:
            version, by = self._known[name]
            return _result(command, version, duplicate=by != call.mark)
        if command.expected_version not in (None, head.version):
            return PreconditionFailed(
                f"the stream ends at version {head.version}, "
                f"expected_version demands {command.expected_version}",
                next_step="read on and decide anew",
            )
        document = event_document(name, command, call, head.version + 1)
        if document.ByteSize() > MOST_DOCUMENT_BYTES:
            return too_large("the event")
        head.version += 1
        self._known[name] = (head.version, call.mark)
        self.events.append(put(document, None))
        return _result(command, head.version, duplicate=False)

    def writes(self) -> list[Message]:
        grown = (head for head in self._heads.values() if head.grown)
        return [*(head.write() for head in grown), *self.events]


def _result(command: AppendEvent, version: int, *, duplicate: bool) -> AppendResult:
    return AppendResult(
        stream=command.stream, event_id=command.event_id, version=version, duplicate=duplicate
    )
