"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

from typing import Any

import apsw

from adapters.cursor import cursor_refused, make_cursor, open_cursor
from adapters.filesystem.object_index import COLUMNS, Row
from commands.object_store import ListObjects, ListResult, ObjectInfo


def list_page(connection: apsw.Connection, command: ListObjects) -> ListResult:
    """One page, in byte order. Raises InvalidCommand for a cursor of another list.

    Its cost is that of the page: what lies below a folded prefix is skipped, not read.
    """
    prefix = command.prefix.encode()
    start = prefix if command.cursor is None else max(prefix, _place(command, command.cursor))
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    while True:
        for row in _from(connection, start, _after(prefix)):
            folded = _folded(row.key, prefix, command.delimiter.encode())
            if len(objects) + len(prefixes) == command.limit:
                cursor = make_cursor(command, (folded or row.key).decode())
                return ListResult(objects=objects, prefixes=prefixes, next_cursor=cursor)
            if folded:
                prefixes.append(folded.decode())
                start = _after(folded) or folded
                break
            objects.append(row.info())
        else:
            return ListResult(objects=objects, prefixes=prefixes)


def _from(connection: apsw.Connection, start: bytes, end: bytes | None) -> Any:
    """Rows from `start` on, read one by one as they are asked for."""
    bound, values = ("", (start,)) if end is None else ("AND key < ?", (start, end))
    question = f"SELECT {COLUMNS} FROM objects WHERE key >= ? {bound} ORDER BY key"  # noqa: S608
    return (Row(*found) for found in connection.execute(question, values))


def _folded(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]


def _after(prefix: bytes) -> bytes | None:
    """The first bytes behind all keys with this prefix; None if it is empty."""
    # No byte of UTF-8 is 0xFF.
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def _place(command: ListObjects, cursor: str) -> bytes:
    place = open_cursor(command, cursor)
    try:
        if isinstance(place, str):
            return place.encode()
    except UnicodeEncodeError:
        pass
    raise cursor_refused()
