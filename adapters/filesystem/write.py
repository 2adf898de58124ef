"""Puts and deletes: contents first, then one transaction that decides, then the clearing up.

A small content needs no file: it stands in the index and is synced with it, so that a bulk of
them costs one sync.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import apsw

from adapters.filesystem import object_index
from adapters.filesystem.content import ContentFile, ContentFolder
from adapters.filesystem.database import Database
from adapters.filesystem.failure import translate
from adapters.filesystem.object_index import Row, Tombstone
from adapters.filesystem.place import Growth
from adapters.object_condition import demand
from adapters.port import Call
from commands.clock import lease_clock
from commands.error import SignalboxError
from commands.object_store import Condition, DeleteObject, PutObject
from commands.payload import InlinePayload, open_payload, verified_chunks

SMALL_BYTES = 16 * 1024
"""Contents up to this size stand in the index: it takes them faster than a folder takes files."""


class Stored(NamedTuple):
    """The end of a put: the ETag of what it stored, or would have stored."""

    etag: str
    superseded: bool = False


class _Draft(NamedTuple):
    """A put on its way: the row it will have, if its turn comes."""

    command: PutObject
    call: Call
    row: Row
    small: bytes | None
    """The content if it needs no file."""


def put_many(
    folder: ContentFolder, index: Database, items: Sequence[tuple[PutObject, Call]]
) -> list[Stored | SignalboxError]:
    """Store all of them in one transaction, in this order; the end or the error of each.

    What is wrong with one item, or with the writing of its content, is its own error. A failed
    sync or commit is that of all that had come so far, and then none of them is stored.
    """
    ended: list[Stored | SignalboxError | None] = []
    drafts: dict[int, _Draft] = {}
    growth = Growth()
    for number, (command, call) in enumerate(items):
        try:
            settled = _settled_before(index, command, call) if call.takeover else None
            ended.append(settled)
            if settled is None:
                drafts[number] = _draft(command, call)
                if drafts[number].small is None:
                    _write(folder, drafts[number], growth)
        except SignalboxError as error:
            ended[number:] = [error]
            drafts.pop(number, None)
        except (OSError, apsw.Error) as error:
            ended[number:] = [translate(error)]
            drafts.pop(number, None)
    useless = {
        number: ContentFile.parse(draft.row.file)
        for number, draft in drafts.items()
        if draft.small is None
    }
    files = list(useless.values())
    deciding = False
    try:
        if files:
            folder.settle(files, growth)
            folder.place.sync(growth)
        replaced: list[ContentFile] = []
        if drafts:
            wait = min(_patience(draft.call) for draft in drafts.values())
            with index.writing(wait) as connection:
                for number, draft in drafts.items():
                    try:
                        trace = object_index.find_trace(connection, draft.command.key)
                        ended[number] = _settled(draft.command, trace, draft.call, draft.row.etag)
                        if ended[number] is None:
                            # Asked under the writers' lock: whoever took the command over
                            # comes before it and the lease is gone, or after the commit.
                            draft.call.remaining()
                            object_index.store(connection, _placed(connection, draft))
                            ended[number] = Stored(draft.row.etag)
                            there = trace if isinstance(trace, Row) else None
                            if trace and not there:
                                object_index.lift(connection, draft.command.key)
                            _tell_growth(draft, there)
                            useless.pop(number, None)
                            replaced += _let_go(connection, there)
                    except SignalboxError as error:
                        ended[number] = error
                deciding = True
    except (OSError, apsw.Error, SignalboxError) as error:
        failure = error if isinstance(error, SignalboxError) else translate(error)
        if not deciding:
            _remove(folder, files)
        # Else the commit failed: it may have happened all the same, so no file is removed.
        return [failure if number in drafts else end or failure for number, end in enumerate(ended)]
    _remove(folder, [*replaced, *useless.values()])
    return [end for end in ended if end is not None]


def delete(folder: ContentFolder, index: Database, command: DeleteObject, call: Call) -> bool:
    """Whether it was superseded. Raises PreconditionFailed (`if_match`).

    Where there is no object either, a tombstone keeps older writes out.
    """
    with index.writing(call.remaining()) as connection:
        trace = object_index.find_trace(connection, command.key)
        there = trace if isinstance(trace, Row) else None
        own = trace is not None and object_index.is_of(trace, call)
        overtaken = trace is not None and trace.seq > call.seq
        # A takeover that finds nothing at all may have left a tombstone that was removed since.
        if not (own or (call.takeover and (overtaken or trace is None))):
            demand(Condition(if_match=command.if_match), there.etag if there else None)
        if overtaken:
            return not own
        call.remaining()
        object_index.remove(connection, command.key, call)
        files = _let_go(connection, there)
    if there is not None:
        call.grew(-1, -there.size)
    _remove(folder, files)
    return False


def _placed(connection: apsw.Connection, draft: _Draft) -> Row:
    if draft.small is None:
        return draft.row
    return draft.row._replace(file=object_index.keep_small(connection, draft.small))


def _let_go(connection: apsw.Connection, there: Row | None) -> list[ContentFile]:
    """Forget a content that no row names any more; its file is to be removed after the commit."""
    if there is None:
        return []
    if isinstance(there.content, ContentFile):
        return [there.content]
    object_index.forget_small(connection, there.content)
    return []


def _tell_growth(draft: _Draft, there: Row | None) -> None:
    draft.call.grew(int(there is None), draft.row.size - (there.size if there else 0))


def _draft(command: PutObject, call: Call) -> _Draft:
    payload, small = command.payload, None
    if isinstance(payload, InlinePayload) and payload.size <= SMALL_BYTES:
        small = payload.data
    sha256 = payload.sha256
    row = Row(
        key=command.key.encode(),
        file=str(ContentFile.fresh(command.key, call.mark)) if small is None else "",
        size=payload.size,
        etag=_etag(command, call, sha256),
        sha256=sha256,
        content_type=command.content_type,
        metadata=json.dumps(command.metadata) if command.metadata else "{}",
        mark=call.mark,
        seq=call.seq,
        modified=object_index.now(),
    )
    return _Draft(command, call, row, small)


def _etag(command: PutObject, call: Call, sha256: str) -> str:
    """Of the command and its turn, not of the content: it changes with each write, and a
    command that was overtaken knows the one it would have had."""
    name = json.dumps([command.key, call.mark, call.seq, sha256]).encode()
    return hashlib.blake2b(name, digest_size=16).hexdigest()


def _write(folder: ContentFolder, draft: _Draft, growth: Growth) -> None:
    payload = draft.command.payload
    with closing(open_payload(payload, draft.call.payloads)) as source:
        file = ContentFile.parse(draft.row.file)
        folder.write(file, verified_chunks(payload, source), growth)


def _settled_before(index: Database, command: PutObject, call: Call) -> Stored | None:
    """Spares a takeover the writing; the payload may also be gone if the put was done."""
    with index.reading() as connection:
        trace = object_index.find_trace(connection, command.key)
    return _settled(command, trace, call, _etag(command, call, command.payload.sha256))


def _settled(
    command: PutObject, trace: Row | Tombstone | None, call: Call, etag: str
) -> Stored | None:
    """What to answer with if there is nothing to write: done already, or overtaken.

    Raises what `command.condition` demands. A takeover that was overtaken may have held its
    condition in its first attempt, and cannot know: it gets the benefit of the doubt.
    """
    there = trace if isinstance(trace, Row) else None
    if there and object_index.is_of(there, call):
        return Stored(there.etag)
    overtaken = trace is not None and trace.seq > call.seq
    if not (overtaken and call.takeover):
        demand(command.condition, there.etag if there else None)
    return Stored(etag, superseded=True) if overtaken else None


def _patience(call: Call) -> float:
    return max(0.001, call.deadline - lease_clock())


def _remove(folder: ContentFolder, files: Sequence[ContentFile]) -> None:
    for file in files:
        folder.remove(file)
