"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import apsw

from adapters.filesystem.object_index import COLUMNS, Row
from commands.error import InvalidCommand
from commands.object_store import ListObjects, ListResult, ObjectInfo


def list_page(connection: apsw.Connection, command: ListObjects) -> ListResult:
    """One page, in byte order. Raises InvalidCommand for a cursor of another list.

    Its cost is that of the page: what lies below a folded prefix is skipped, not read.
    """
    prefix = command.prefix.encode()
    start = prefix if command.cursor is None else max(prefix, _open_cursor(command))
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    while True:
        for row in _from(connection, start, _after(prefix)):
            folded = _folded(row.key, prefix, command.delimiter.encode())
            if len(objects) + len(prefixes) == command.limit:
                cursor = _make_cursor(command, folded or row.key)
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


def _binding(command: ListObjects) -> str:
    """Ties a cursor to its scope and question, so that one of another list is refused."""
    text = json.dumps([command.tenant_id, command.env, command.prefix, command.delimiter])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _make_cursor(command: ListObjects, start: bytes) -> str:
    text = json.dumps({"list": _binding(command), "from": start.decode()})
    return base64.urlsafe_b64encode(text.encode()).decode()


def _open_cursor(command: ListObjects) -> bytes:
    try:
        text = base64.b64decode((command.cursor or "").encode(), altchars=b"-_", validate=True)
        fields = json.loads(text)
        if set(fields) == {"list", "from"} and fields["list"] == _binding(command):
            return str(fields["from"]).encode()
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidCommand(
        "the cursor is not one of this list",
        next_step="send next_cursor as it came, with the same prefix and delimiter",
    )
