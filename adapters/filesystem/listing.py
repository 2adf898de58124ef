"""Pages of object keys from the SQLite index."""

from __future__ import annotations

from typing import Any

import apsw

from signalbox.adapters.cursor import cursor_refused
from signalbox.adapters.filesystem.object_index import COLUMNS, Row
from signalbox.adapters.object_driver import Entry, Page


def list_rows(
    connection: apsw.Connection, prefix: str, delimiter: str, limit: int, token: str | None
) -> Page:
    """Return one page, in byte order. Raises InvalidCommand for an invalid token.

    Its cost depends on the page only: what lies below a folded prefix is skipped without being
    read.
    """
    below = prefix.encode()
    start = below if token is None else max(below, _position(token))
    entries: list[Entry] = []
    prefixes: list[str] = []
    while True:
        for row in _from(connection, start, _after(below)):
            folded = _folded(row.key, below, delimiter.encode())
            if len(entries) + len(prefixes) == limit:
                return Page(entries, prefixes, (folded or row.key).hex())
            if folded:
                prefixes.append(folded.decode())
                start = _after(folded) or folded
                break
            info = row.info()
            entries.append(Entry(info.key, info.size, info.etag, info.modified, info))
        else:
            return Page(entries, prefixes, None)


def _from(connection: apsw.Connection, start: bytes, end: bytes | None) -> Any:
    """Return rows from `start` on, each read when it is needed."""
    bound, values = ("", (start,)) if end is None else ("AND key < ?", (start, end))
    question = f"SELECT {COLUMNS} FROM objects WHERE key >= ? {bound} ORDER BY key"  # noqa: S608
    return (Row(*found) for found in connection.execute(question, values))


def _folded(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    if not delimiter:
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]


def _after(prefix: bytes) -> bytes | None:
    """Return the first key after all keys with this prefix; None if the prefix is empty."""
    # No byte of UTF-8 is 0xFF.
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def _position(token: str) -> bytes:
    try:
        return bytes.fromhex(token)
    except ValueError:
        raise cursor_refused() from None
