"""What puts and deletes of objects come to, within one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw

from adapters.filesystem import object_index
from adapters.filesystem.content import ContentFile
from adapters.filesystem.object_index import Row, Tombstone
from adapters.object_condition import demand
from adapters.port import Call
from commands.object_store import Condition, DeleteObject, PutObject


class Stored(NamedTuple):
    """The end of a put: what it stored, or would have stored."""

    etag: str
    sha256: str
    superseded: bool = False


class Draft(NamedTuple):
    """A put on its way: the row it will have, if its turn comes."""

    command: PutObject
    row: Row
    small: bytes | None
    """The content if it needs no file."""

    @property
    def key(self) -> str:
        return self.command.key

    @property
    def order_key(self) -> str | None:
        return self.command.order_key


class ObjectTurn:
    """The writes of one transaction on the objects under `keys`."""

    def __init__(self, connection: apsw.Connection, keys: Iterable[str]) -> None:
        self._connection = connection
        self._before = object_index.find_traces(connection, keys)
        self._after: dict[str, Draft | Tombstone] = {}
        self.flushed = False
        """Whether the commit is all that is left to do; it may have happened even if it fails."""
        self.unnamed: list[ContentFile] = []
        """Files that no row names any more after the commit."""

    def put(self, draft: Draft, call: Call) -> Stored:
        """Raises what the command's condition demands."""
        row = draft.row
        trace = self._trace(draft.command.key)
        ended = settled(draft, trace, call)
        if ended is not None:
            return ended
        # Asked under the writers' lock: whoever took the command over comes before it and the
        # lease is gone, or after the commit.
        call.remaining()
        if isinstance(trace, Row):
            call.grew(0, row.size - trace.size)
        else:
            call.grew(1, row.size)
        self._after[draft.command.key] = draft
        return Stored(row.etag, row.sha256)

    def delete(self, command: DeleteObject, call: Call) -> bool:
        """Whether it was superseded. Raises PreconditionFailed (`if_match`).

        Where there is no object either, a tombstone keeps older writes out.
        """
        trace = self._trace(command.key)
        there = trace if isinstance(trace, Row) else None
        own = trace is not None and object_index.is_of(trace, call)
        overtaken = trace is not None and trace.seq > call.seq
        # A takeover that finds nothing at all may have left a tombstone that was removed since.
        if not (own or (call.takeover and (overtaken or trace is None))):
            demand(Condition(if_match=command.if_match), there.etag if there else None)
        if overtaken:
            return not own
        call.remaining()
        if there is not None:
            call.grew(-1, -there.size)
        self._after[command.key] = Tombstone(call.mark, call.seq)
        return False

    def flush(self) -> None:
        contents: list[tuple[int, bytes]] = []
        forgotten: list[int] = []
        rows: list[tuple[object, ...]] = []
        last = object_index.last_small(self._connection)
        for key, left in self._after.items():
            before = self._before.get(key)
            content = before.content if isinstance(before, Row) else None
            if isinstance(content, ContentFile):
                self.unnamed.append(content)
            if isinstance(left, Draft) and left.small is not None:
                if not isinstance(content, int):
                    content = last = last + 1
                contents.append((content, left.small))
                rows.append(left.row.with_small(content))
                continue
            if isinstance(content, int):
                forgotten.append(content)
            if isinstance(left, Draft):
                rows.append(left.row)
        object_index.forget_small(self._connection, forgotten)
        object_index.keep_small(self._connection, contents)
        object_index.store(self._connection, rows)
        self._flush_tombstones()
        self.flushed = True

    def named(self) -> set[str]:
        """Files of puts of this turn that rows name after it."""
        return {
            left.row.file
            for left in self._after.values()
            if isinstance(left, Draft) and left.small is None
        }

    def _flush_tombstones(self) -> None:
        removed, buried, lifted = [], {}, []
        for key, left in self._after.items():
            before = self._before.get(key)
            if isinstance(left, Tombstone):
                buried[key] = left
                if isinstance(before, Row):
                    removed.append(key)
            elif isinstance(before, Tombstone):
                lifted.append(key)
        object_index.remove(self._connection, removed)
        object_index.bury(self._connection, buried)
        object_index.lift(self._connection, lifted)

    def _trace(self, key: str) -> Row | Tombstone | None:
        """What the last write on the key left. Raises IntegrityMismatch."""
        left = self._after.get(key)
        if left is not None:
            return left.row if isinstance(left, Draft) else left
        before = object_index.checked(self._before.get(key))
        if isinstance(before, Row):
            # Read here, where what cannot be read is the error of its own command alone.
            _ = before.content
        return before


def settled(draft: Draft, trace: Row | Tombstone | None, call: Call) -> Stored | None:
    """What to answer a put with if there is nothing to write: done already, or overtaken.

    Raises what its condition demands. A takeover that was overtaken may have held its condition
    in its first attempt, and cannot know: it gets the benefit of the doubt.
    """
    condition, row = draft.command.condition, draft.row
    if trace is None:
        demand(condition, None)
        return None
    there = trace if isinstance(trace, Row) else None
    if there and object_index.is_of(there, call):
        return Stored(there.etag, row.sha256)
    overtaken = trace.seq > call.seq
    if not (overtaken and call.takeover):
        demand(condition, there.etag if there else None)
    return Stored(row.etag, row.sha256, superseded=True) if overtaken else None
