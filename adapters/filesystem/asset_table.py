"""Asset records in the index of a scope's objects.

Functions here run within a transaction of the caller's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apsw

from signalbox.adapters.object_attributes import MARK, SEQ
from signalbox.adapters.object_driver import Draft, StoredObject
from signalbox.adapters.window import EPOCH


class Asset(NamedTuple):
    """A record as JSON, with what stands beside it."""

    record: str
    mark: str
    seq: int

    @property
    def etag(self) -> str:
        return f"{self.seq:016x}"

    def stored(self) -> StoredObject:
        beside = {MARK: self.mark, SEQ: str(self.seq)}
        size = len(self.record.encode())
        return StoredObject(size, self.etag, EPOCH, "application/json", {}, beside)


def find_asset(connection: apsw.Connection, key: str) -> Asset | None:
    found: Any = connection.execute(
        "SELECT record, mark, seq FROM assets WHERE key = ?", (key.encode(),)
    ).fetchone()
    return None if found is None else Asset(*found)


def store_asset(connection: apsw.Connection, key: str, draft: Draft) -> str:
    """Its ETag."""
    beside = draft.attributes
    asset = Asset(draft.whole().decode(), beside[MARK], int(beside[SEQ]))
    connection.execute("INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?)", (key.encode(), *asset))
    return asset.etag
