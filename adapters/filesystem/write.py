"""Puts and deletes: contents first, then one transaction that decides, then the clearing up.

A small content needs no file: it stands in the index and is synced with it, so that a bulk of
them costs one sync.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TypeVar

import apsw

from adapters.filesystem import object_index
from adapters.filesystem.bulk import decide_all
from adapters.filesystem.content import ContentFile, ContentFolder
from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors, located
from adapters.filesystem.object_index import Row
from adapters.filesystem.object_turn import Draft, ObjectTurn, Stored, settled
from adapters.filesystem.place import Growth
from adapters.port import Call
from commands.error import SignalboxError
from commands.object_store import DeleteObject, PutObject
from commands.payload import InlinePayload, open_payload, verified_chunks
from commands.scope import Scope

SMALL_BYTES = 16 * 1024
"""Contents up to this size stand in the index: it takes them faster than a folder takes files."""

Item = TypeVar("Item", Draft, DeleteObject)
Answer = TypeVar("Answer")


def put_many(
    folder: ContentFolder,
    index: Database,
    scope: Scope,
    items: Sequence[tuple[PutObject, Call]],
) -> list[Stored | SignalboxError]:
    """Store all of them in one transaction, in this order; the end or the error of each.

    What is wrong with one item, or with the writing of its content, is its own error, and none on
    its key is attempted behind a temporary one. A failed sync or commit is that of all that had
    come so far, and then none of them is stored.
    """
    ended: list[Stored | SignalboxError | None] = []
    drafts: list[tuple[Draft, Call]] = []
    growth, modified = Growth(), object_index.now()
    seen: dict[str, SignalboxError | None] = {}
    """Keys, with the temporary error that ended one of their puts."""
    for command, call in items:
        first = command.key not in seen
        end: Stored | SignalboxError | None = seen.setdefault(command.key, None)
        if end is None:
            try:
                draft = _draft(command, call, modified)
                if draft.small is None:
                    end = _write(folder, index, draft, call, growth, first=first)
                if end is None:
                    drafts.append((draft, call))
            except (SignalboxError, OSError, apsw.Error) as error:
                end = located(error, scope)
                if end.temporary:
                    seen[command.key] = end
        ended.append(end)
    decided = iter(_store(folder, index, scope, drafts, growth))
    return [next(decided) if end is None else end for end in ended]


def delete_many(
    folder: ContentFolder,
    index: Database,
    scope: Scope,
    items: Sequence[tuple[DeleteObject, Call]],
) -> list[bool | SignalboxError]:
    """Delete all of them in one transaction, in this order; whether each was superseded, or its
    error. None on a key is attempted behind a temporary error on it."""
    return _decide(folder, index, scope, items, ObjectTurn.delete, ())


def _draft(command: PutObject, call: Call, modified: int) -> Draft:
    payload = command.payload
    small = payload.data if isinstance(payload, InlinePayload) else None
    if small is not None and len(small) > SMALL_BYTES:
        small = None
    sha256 = payload.sha256
    # By position: by name it costs twice as much.
    row = Row(
        command.key.encode(),
        str(ContentFile.fresh(command.key, call.mark)) if small is None else "",
        payload.size,
        _etag(call, sha256),
        sha256,
        command.content_type,
        json.dumps(command.metadata) if command.metadata else "{}",
        call.mark,
        call.seq,
        modified,
    )
    return Draft(command, row, small)


def _write(
    folder: ContentFolder,
    index: Database,
    draft: Draft,
    call: Call,
    growth: Growth,
    *,
    first: bool,
) -> Stored | None:
    """Write the content, unless the put has an end already: then it. `first` of its key."""
    if call.takeover:
        try:
            # The payload may also be gone if the put was done.
            if done := _settled_before(index, draft, call):
                return done
        except SignalboxError:
            if first:
                raise
            # What came before it in the bulk may be what its condition demands.
    payload = draft.command.payload
    with closing(open_payload(payload, call.payloads)) as source:
        file = ContentFile.parse(draft.row.file)
        folder.write(file, verified_chunks(payload, source), growth)
    return None


def _etag(call: Call, sha256: str) -> str:
    """It changes with each write, also of equal content; and a command that was overtaken knows
    the one it would have had."""
    return f"{call.seq:016x}{sha256[:16]}"


def _settled_before(index: Database, draft: Draft, call: Call) -> Stored | None:
    key = draft.command.key
    with index.reading() as connection:
        trace = object_index.find_traces(connection, [key]).get(key)
    return settled(draft, object_index.checked(trace), call)


def _store(
    folder: ContentFolder,
    index: Database,
    scope: Scope,
    drafts: Sequence[tuple[Draft, Call]],
    growth: Growth,
) -> list[Stored | SignalboxError]:
    files = [ContentFile.parse(draft.row.file) for draft, _ in drafts if draft.small is None]
    if files:
        try:
            with filesystem_errors(scope):
                folder.settle(files, growth)
                folder.place.sync(growth)
        except SignalboxError as error:
            _remove(folder, files)
            return [error] * len(drafts)
    return _decide(folder, index, scope, drafts, ObjectTurn.put, files)


def _decide(
    folder: ContentFolder,
    index: Database,
    scope: Scope,
    items: Sequence[tuple[Item, Call]],
    decide: Callable[[ObjectTurn, Item, Call], Answer],
    files: Sequence[ContentFile],
) -> list[Answer | SignalboxError]:
    """The one transaction. Of the contents, new ones in `files`, those are removed that no row
    names after it."""
    turn: ObjectTurn | None = None

    def open_turn(connection: apsw.Connection, _: object) -> ObjectTurn:
        nonlocal turn
        turn = ObjectTurn(connection, (item.key for item, _ in items))
        return turn

    try:
        answers = decide_all(index, scope, items, open_turn, decide)
    except SignalboxError as error:
        if turn is None or not turn.flushed:
            _remove(folder, files)
        # Else the commit failed: it may have happened all the same, so no file is removed.
        return [error] * len(items)
    if turn is not None:
        named = turn.named()
        _remove(folder, (file for file in files if str(file) not in named))
        _remove(folder, turn.unnamed)
    return answers


def _remove(folder: ContentFolder, files: Iterable[ContentFile]) -> None:
    for file in files:
        folder.remove(file)
