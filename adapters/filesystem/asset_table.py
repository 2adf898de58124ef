"""Asset records in the SQLite index of a scope's objects.

The functions run within a transaction of the caller.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import apsw

from signalbox.adapters.metrics_page import EPOCH
from signalbox.adapters.object_attributes import MARK, SEQ
from signalbox.adapters.object_driver import Draft, StoredObject


class Asset(NamedTuple):
    """An asset record with its attributes."""

    record: str
    """The record as JSON."""
    mark: str
    """Mark of its writer."""
    seq: int
    """Sequence number of its writer."""

    @property
    def etag(self) -> str:
        """ETag of the record."""
        return f"{self.seq:016x}"

    def stored(self) -> StoredObject:
        """Return the record as a stored object."""
        beside = {MARK: self.mark, SEQ: str(self.seq)}
        size = len(self.record.encode())
        return StoredObject(size, self.etag, EPOCH, "application/json", {}, beside)


def find_asset(connection: apsw.Connection, key: str) -> Asset | None:
    """Return the record under a key; None if there is none."""
    found: Any = connection.execute(
        "SELECT record, mark, seq FROM assets WHERE key = ?", (key.encode(),)
    ).fetchone()
    return None if found is None else Asset(*found)


def store_asset(connection: apsw.Connection, key: str, draft: Draft) -> str:
    """Store a record under a key; return its ETag."""
    beside = draft.attributes
    asset = Asset(draft.whole().decode(), beside[MARK], int(beside[SEQ]))
    connection.execute("INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?)", (key.encode(), *asset))
    return asset.etag
