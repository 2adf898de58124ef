"""Staged contents, and the transaction that makes them visible.

A small content needs no file: it is stored and synced with the index, so that a bulk of small
contents takes one sync.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import apsw

from signalbox.adapters.filesystem import object_index
from signalbox.adapters.filesystem.content import ContentFile, ContentFolder
from signalbox.adapters.filesystem.object_index import Row, Tombstone, Traces
from signalbox.adapters.filesystem.scope_directory import Growth
from signalbox.adapters.object_attributes import MARK, SEQ, SHA256
from signalbox.adapters.object_driver import Draft
from signalbox.adapters.object_transaction import Gone
from signalbox.commands.payload import InlinePayload

SMALL_BYTES = 16 * 1024
"""Maximum size of a content in the index, which is faster than a file up to this size."""


class StagedContent(NamedTuple):
    """A staged content."""

    trace: Row
    """The row that it will have."""
    small: bytes | None
    """The content itself if it needs no file, else None."""


class Staging:
    """An ObjectStaging."""

    def __init__(self, folder: ContentFolder) -> None:
        self._folder = folder
        self._growth = Growth()
        self._modified = object_index.now()

    def stage(self, key: str, draft: Draft, etag: str) -> StagedContent:
        payload, beside = draft.payload, draft.attributes
        small = payload.data if isinstance(payload, InlinePayload) else None
        if small is not None and len(small) > SMALL_BYTES:
            small = None
        file = ContentFile.fresh(key, beside[MARK]) if small is None else None
        # By position, which takes half the time of names.
        row = Row(
            key.encode(),
            str(file or ""),
            payload.size,
            etag,
            beside[SHA256],
            draft.content_type,
            json.dumps(draft.metadata) if draft.metadata else "{}",
            beside[MARK],
            int(beside[SEQ]),
            self._modified,
        )
        if file is not None:
            with draft.chunks() as chunks:
                self._folder.write(file, chunks, self._growth)
        return StagedContent(row, small)

    def settle(self, staged: Sequence[StagedContent]) -> None:
        if files := _files(staged):
            self._folder.settle(files, self._growth)
            self._folder.directory.sync(self._growth)

    def discard(self, staged: Sequence[StagedContent]) -> None:
        for file in _files(staged):
            self._folder.remove(file)


class Session:
    """An ObjectSession within a transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._before: Traces = Traces({})
        self.unnamed: list[ContentFile] = []
        """Files that are unused after the commit."""

    def look(self, keys: Collection[str]) -> Traces:
        self._before = object_index.find_traces(self._connection, keys)
        return self._before

    def write(self, changes: Mapping[str, StagedContent | Gone]) -> None:
        contents: list[tuple[int, bytes]] = []
        forgotten: list[int] = []
        rows: list[tuple[object, ...]] = []
        last = object_index.last_small(self._connection)
        for key, left in changes.items():
            before = self._before.stored.get(key)
            content = before.content if isinstance(before, Row) else None
            if isinstance(content, ContentFile):
                self.unnamed.append(content)
            if isinstance(left, StagedContent) and left.small is not None:
                if not isinstance(content, int):
                    content = last = last + 1
                contents.append((content, left.small))
                rows.append(left.trace.with_small(content))
                continue
            if isinstance(content, int):
                forgotten.append(content)
            if isinstance(left, StagedContent):
                rows.append(left.trace)
        object_index.forget_small(self._connection, forgotten)
        object_index.keep_small(self._connection, contents)
        object_index.store(self._connection, rows)
        self._write_tombstones(changes)

    def _write_tombstones(self, changes: Mapping[str, StagedContent | Gone]) -> None:
        removed, buried, lifted = [], {}, []
        for key, left in changes.items():
            before = self._before.stored.get(key)
            if isinstance(left, Gone):
                buried[key] = left
                if isinstance(before, Row):
                    removed.append(key)
            elif isinstance(before, Tombstone):
                lifted.append(key)
        object_index.remove(self._connection, removed)
        object_index.bury(self._connection, buried)
        object_index.lift(self._connection, lifted)


def _files(staged: Sequence[StagedContent]) -> list[ContentFile]:
    return [ContentFile.parse(each.trace.file) for each in staged if each.small is None]
