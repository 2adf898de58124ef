"""Object driver for the filesystem, for labs and tests: content files, and an index in SQLite.

Below the route's `base_dir`, each tenant and env has `tenants/{tenant}/{env}/` with contents as
files in `raw/` and their index in `objects.db`, which also holds small contents. The index decides
what exists. A content is synced before or with the commit of its row, so that what was acknowledged
survives a crash.
"""

# SQLite waits for locks and not for a server, so only sessions need their limit.
# ruff: noqa: ARG002

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import quote

from signalbox.adapters.capability import Capability
from signalbox.adapters.filesystem import object_index, object_write, orphan
from signalbox.adapters.filesystem.asset_table import find_asset, store_asset
from signalbox.adapters.filesystem.body import FileBody
from signalbox.adapters.filesystem.config import BACKEND_TYPE, read_base_dir, refuse_sellable
from signalbox.adapters.filesystem.content import ContentFolder
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.failure import SERVICE
from signalbox.adapters.filesystem.listing import list_rows
from signalbox.adapters.filesystem.object_index import Contents, Found, Row, Traces
from signalbox.adapters.filesystem.scope_directory import ScopeDirectory
from signalbox.adapters.object_driver import (
    Area,
    Changed,
    Draft,
    ObjectTraits,
    Opened,
    Page,
    Refusal,
    StoredObject,
    TokenFault,
    UnsignedDriver,
)
from signalbox.adapters.object_range import span
from signalbox.adapters.port import AdapterContext, TimeLimit
from signalbox.adapters.row_condition import TOMBSTONE_KEPT
from signalbox.commands.error import Contended, NotFound
from signalbox.commands.object_store import Condition
from signalbox.commands.scope import ResourceKind, Scope

LOOKS = 16
"""Maximum number of attempts to open an object that is being replaced."""
_UNSIGNED = {
    Capability.PRESIGN_POST: "presigned forms",
    Capability.PRESIGN_PUT: "presigned uploads",
    Capability.PRESIGN_GET: "presigned addresses",
}
_INSTEAD = "route the scope to s3 for uploads and downloads by address"
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*", re.ASCII)
"""Text that `quote` would not change, which this tests in a third of the time."""
_ASSET = "\0"
"""Prefix of the names of asset records; no key contains it."""


def open_driver(context: AdapterContext) -> FilesystemObjectDriver:
    """Open the driver of a route; reads and creates nothing before a command.

    Raises ForbiddenBackend in a sellable mode, and InvalidRouteConfig.
    """
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.OBJECT_STORE)
    return FilesystemObjectDriver(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Check a route's config; makes no call. Raises InvalidRouteConfig."""
    read_base_dir(config, ResourceKind.OBJECT_STORE)


class FilesystemObjectDriver(UnsignedDriver):
    """A TransactionalObjectDriver on files and SQLite. An object's name is its key.

    Safe among threads and processes on one machine, but not on network filesystems, whose locks
    SQLite cannot rely on.
    """

    service = SERVICE
    traits = ObjectTraits(
        unsupported={
            capability: (f"{BACKEND_TYPE} has no {what}", _INSTEAD)
            for capability, what in _UNSIGNED.items()
        },
        transactional=True,
    )

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self.scope = scope
        self._directory = ScopeDirectory(base_dir, scope)
        self._folder = ContentFolder(self._directory)
        above = f"{base_dir}/tenants/{scope.tenant_id}/{scope.env}/raw/"
        self._address = f"filesystem://{quote(above)}"
        self._index = Database(
            self._directory,
            object_index.NAME,
            object_index.SCHEMA,
            object_index.VERSION,
            object_index.UPGRADES,
        )

    def name(self, key: str, area: Area = Area.RAW) -> str:
        return key if area is Area.RAW else f"{_ASSET}{key}"

    def uri(self, name: str) -> str:
        """Return an address for people.

        It is not a `file:` URL, since no file has this path: names of files are internal.
        """
        return self._address + (name if _PLAIN.fullmatch(name) else quote(name))

    def check_etag(self, etag: str) -> None:
        """Do nothing: any text may be an ETag."""

    def look(self, name: str, *, sure: bool, replicas: bool = False) -> StoredObject | None:
        with self._index.looking() as connection:
            if name.startswith(_ASSET):
                asset = find_asset(connection, name[1:])
                return asset.stored() if asset else None
            row = object_index.find(connection, name)
        return row.stored() if row else None

    def look_many(self, names: Sequence[str]) -> Mapping[str, StoredObject]:
        with self._index.looking() as connection:
            return Found(object_index.find_rows(connection, names))

    def contents(self, names: Sequence[str]) -> Mapping[str, tuple[StoredObject, bytes | None]]:
        with self._index.looking() as connection:
            return Contents(object_index.find_wholes(connection, names))

    def traces(self, keys: Collection[str]) -> Traces:
        with self._index.reading() as connection:
            return object_index.find_traces(connection, keys)

    def open(
        self,
        name: str,
        first: int | None = None,
        last: int | None = None,
        *,
        etag: str | None = None,
        replicas: bool = False,
    ) -> Opened:
        if name.startswith(_ASSET):
            return self._open_asset(name[1:])
        missed: Row | None = None
        for _ in range(LOOKS):
            with self._index.looking() as connection:
                found = object_index.find_whole(connection, name)
            if found is None:
                raise NotFound("there is no such object", next_step="check the key")
            row, small = found
            begin, size = span(first, last, row.size)
            content = row.content
            if isinstance(content, int):
                body = FileBody(BytesIO(object_index.whole(row, small)), begin, size)
                return Opened(row.stored(), begin, size, body)
            try:
                file = self._folder.open(content)
            except FileNotFoundError:
                # It was replaced after the row was read, unless the row is still the same.
                if row == missed:
                    raise object_index.lost() from None
                missed = row
                continue
            if os.fstat(file.fileno()).st_size != row.size:
                file.close()
                raise object_index.lost()
            return Opened(row.stored(), begin, size, FileBody(file, begin, size))
        raise Contended(
            f"the object was replaced under each of {LOOKS} looks", next_step="it is tried again"
        )

    def write(self, name: str, draft: Draft, condition: Condition, limit: TimeLimit) -> str:
        """Write an asset record."""
        key = name.removeprefix(_ASSET)
        with self._index.transaction(limit) as connection:
            before = find_asset(connection, key)
            found = before.etag if before else None
            if (condition.if_absent and before) or condition.if_match not in (None, found):
                raise Changed
            limit.remaining()
            return store_asset(connection, key, draft)

    def remove(self, name: str, etag: str | None, limit: TimeLimit) -> None:
        raise NotImplementedError

    def staging(self) -> object_write.Staging:
        return object_write.Staging(self._folder)

    @contextmanager
    def session(self, limit: TimeLimit) -> Iterator[object_write.Session]:
        with self._index.transaction(limit) as connection:
            session = object_write.Session(connection)
            yield session
        for file in session.unnamed:
            self._folder.remove(file)

    def prefix(self, prefix: str) -> str:
        return prefix

    def key(self, name: str) -> str:
        return name

    def list(self, prefix: str, delimiter: str | None, limit: int, token: str | None) -> Page:
        """Return a page with complete information on each object."""
        with self._index.reading() as connection:
            return list_rows(connection, prefix, delimiter or "", limit, token)

    def token_fault(self, error: Exception) -> TokenFault | None:
        return None

    def refusal(self, error: Exception) -> Refusal | None:
        return None

    def collect_orphans(self, older_than: timedelta) -> int:
        """Prune tombstones and remove orphaned files; see `orphan.py`."""
        pruned = True
        while pruned:
            with self._index.writing() as connection:
                pruned = object_index.prune(connection, TOMBSTONE_KEPT)
        return orphan.collect_orphans(self._directory, self._index, older_than)

    def close(self) -> None:
        """Close the idle connections; open contents stay open."""
        self._index.close()

    def _open_asset(self, key: str) -> Opened:
        with self._index.looking() as connection:
            asset = find_asset(connection, key)
        if asset is None:
            raise NotFound("there is no such record", next_step="register the object")
        content = asset.record.encode()
        return Opened(asset.stored(), 0, len(content), BytesIO(content))
