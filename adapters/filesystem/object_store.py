"""Objects in a directory of the worker's machine: for labs and tests, and as careful as a disk.

Below the route's `base_dir` each tenant and env has `tenants/{tenant}/{env}/` with the contents
as files in `raw/` and their index in `objects.db`, which holds small contents itself. The index
decides what exists; a content is synced before its row is committed, or with it, so that what is
acknowledged survives a crash.
"""

# The port gives every method its call; what only reads has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from typing import Any, NoReturn
from urllib.parse import quote

import apsw

from adapters.filesystem import asset, object_index, orphan, write
from adapters.filesystem.body import FileBody
from adapters.filesystem.bulk import only, read_many
from adapters.filesystem.config import BACKEND_TYPE, read_base_dir, refuse_sellable
from adapters.filesystem.content import ContentFolder
from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors, located
from adapters.filesystem.listing import list_page
from adapters.filesystem.object_index import TOMBSTONE_KEPT, Row
from adapters.filesystem.place import Place
from adapters.object_store import ObjectStore, ObjectStream
from adapters.port import AdapterContext, Call, Capability
from commands.error import (
    BackendError,
    Contended,
    IntegrityMismatch,
    InvalidCommand,
    NotFound,
    SignalboxError,
    Unsupported,
)
from commands.object_store import (
    AssetRecord,
    DeleteObject,
    DeleteResult,
    GetObject,
    HeadObject,
    ListObjects,
    ListResult,
    ObjectInfo,
    ObjectUri,
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PresignGet,
    PresignPost,
    PresignPut,
    PutObject,
    PutResult,
    RegisterObject,
    UriResult,
)
from commands.scope import ResourceKind, Scope

CAPABILITIES = frozenset({Capability.CONDITIONAL_PUT, Capability.CONDITIONAL_DELETE})
LOOKS = 16
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*", re.ASCII)
"""What `quote` leaves as it is, and takes three times as long for."""


def open_adapter(context: AdapterContext) -> ObjectStore:
    """The adapter of one route. Raises ForbiddenBackend in a sellable mode, InvalidRouteConfig;
    nothing is read or made before a command."""
    refuse_sellable(context)
    base_dir = read_base_dir(context.config, ResourceKind.OBJECT_STORE)
    return FilesystemObjectStore(base_dir, context.scope)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InvalidRouteConfig for a config that no such route can have. No call out."""
    read_base_dir(config, ResourceKind.OBJECT_STORE)


class FilesystemObjectStore:
    """The port on plain files and SQLite. Every write is fenced by `seq`, not only takeovers.

    Safe among threads and processes on one machine; not on network filesystems, whose locks
    SQLite cannot rely on.
    """

    capabilities = CAPABILITIES

    def __init__(self, base_dir: str, scope: Scope) -> None:
        self._scope = scope
        self._place = Place(base_dir, scope)
        self._folder = ContentFolder(self._place)
        above = f"{base_dir}/tenants/{scope.tenant_id}/{scope.env}/raw/"
        self._address = f"filesystem://{quote(above)}"
        self._index = Database(
            self._place,
            object_index.NAME,
            object_index.SCHEMA,
            object_index.VERSION,
            object_index.UPGRADES,
        )

    def put(self, command: PutObject, call: Call) -> PutResult:
        """As the port says; a bulk of one."""
        return only(self.put_many([(command, call)]))

    def put_many(self, items: Sequence[tuple[PutObject, Call]]) -> list[PutResult | SignalboxError]:
        """Many puts for one sync of each directory and one transaction; in the order given, so
        that a key may come twice. An item that is refused does not spoil the others."""
        ended = write.put_many(self._folder, self._index, self._scope, items)
        return [
            end
            if isinstance(end, SignalboxError)
            else PutResult(
                key=command.key,
                size=command.payload.size,
                etag=end.etag,
                sha256=end.sha256,
                uri=self._uri(command.key),
                superseded=end.superseded,
            )
            for (command, _), end in zip(items, ended, strict=True)
        ]

    def get(self, command: GetObject, call: Call) -> ObjectStream:
        with filesystem_errors(self._scope):
            missed: Row | None = None
            for _ in range(LOOKS):
                with self._index.looking() as connection:
                    found = object_index.find_whole(connection, command.key)
                row, small = found or _missing()
                place = row.content
                if isinstance(place, int):
                    return _in_memory(command, row, small)
                first, size = _span(command, row.size)
                try:
                    file = self._folder.open(place)
                except FileNotFoundError:
                    # Replaced since the row was read, unless the row is still the same.
                    if row == missed:
                        raise _lost() from None
                    missed = row
                    continue
                if os.fstat(file.fileno()).st_size != row.size:
                    file.close()
                    raise _lost()
                return ObjectStream(row.info(), first, size, FileBody(file, first, size))
            raise Contended(
                f"the object was replaced under each of {LOOKS} looks",
                next_step="it is tried again",
            )

    def get_many(
        self, items: Sequence[tuple[GetObject, Call]]
    ) -> list[ObjectStream | SignalboxError]:
        """Many gets, by one statement for all whose content stands in the index."""
        calls = {id(command): call for command, call in items}

        def find(
            connection: apsw.Connection, commands: Sequence[GetObject]
        ) -> Callable[[GetObject], ObjectStream]:
            found = object_index.find_wholes(connection, [command.key for command in commands])

            def answer(command: GetObject) -> ObjectStream:
                row, small = found.get(command.key) or _missing()
                if isinstance(object_index.checked(row).content, int):
                    return _in_memory(command, row, small)
                return self.get(command, calls[id(command)])

            return answer

        return read_many(self._index, self._scope, [command for command, _ in items], find)

    def head(self, command: HeadObject, call: Call) -> ObjectInfo:
        with filesystem_errors(self._scope):
            with self._index.looking() as connection:
                row = object_index.find(connection, command.key)
            return (row or _missing()).info()

    def head_many(
        self, items: Sequence[tuple[HeadObject, Call]]
    ) -> list[ObjectInfo | SignalboxError]:
        """Many heads by one statement."""
        commands = [command for command, _ in items]
        return read_many(self._index, self._scope, commands, _infos)

    def delete(self, command: DeleteObject, call: Call) -> DeleteResult:
        """As the port says; a newer `seq` is kept without a takeover too, and a tombstone keeps
        older writes out for `TOMBSTONE_KEPT`."""
        return only(self.delete_many([(command, call)]))

    def delete_many(
        self, items: Sequence[tuple[DeleteObject, Call]]
    ) -> list[DeleteResult | SignalboxError]:
        """Many deletes in one transaction, otherwise as `put_many`."""
        ended = write.delete_many(self._folder, self._index, self._scope, items)
        return [
            end
            if isinstance(end, SignalboxError)
            else DeleteResult(key=command.key, superseded=end)
            for (command, _), end in zip(items, ended, strict=True)
        ]

    def list(self, command: ListObjects, call: Call) -> ListResult:
        """As the port says, with everything that is known of each object."""
        with filesystem_errors(self._scope), self._index.reading() as connection:
            return list_page(connection, command)

    def presign_post(self, command: PresignPost, call: Call) -> PresignedPost:
        self._unsupported("presigned forms")

    def presign_put(self, command: PresignPut, call: Call) -> PresignedPut:
        self._unsupported("presigned uploads")

    def presign_get(self, command: PresignGet, call: Call) -> PresignedGet:
        self._unsupported("presigned addresses")

    def uri(self, command: ObjectUri, call: Call) -> UriResult:
        return UriResult(uri=self._uri(command.key))

    def register(self, command: RegisterObject, call: Call) -> AssetRecord:
        with filesystem_errors(self._scope):
            return asset.register(self._index, self._scope, command, call, self._uri(command.key))

    def collect_orphans(self, older_than: timedelta) -> int:
        """Remove files that a crash left without a row; how many. See `orphan.py`. Tombstones
        that are older than `TOMBSTONE_KEPT` go as well."""
        with filesystem_errors(self._scope):
            pruned = True
            while pruned:
                with self._index.writing() as connection:
                    pruned = object_index.prune(connection, TOMBSTONE_KEPT)
            return orphan.collect_orphans(self._place, self._index, older_than)

    def check_fences(self, key: str, call: Call) -> None:
        """Numbers and marks stand in the index, and are judged in its transactions."""

    def close(self) -> None:
        """Close the idle connections; streams that were handed out stay open."""
        self._index.close()

    def _uri(self, key: str) -> str:
        """Not `file:`, since no file has this path: names of files are an inner matter."""
        return self._address + (key if _PLAIN.fullmatch(key) else quote(key))

    def _unsupported(self, what: str) -> NoReturn:
        error = Unsupported(
            f"{BACKEND_TYPE} has no {what}",
            next_step="route the scope to s3 for uploads and downloads by address",
        )
        raise located(error, self._scope)


def _infos(
    connection: apsw.Connection, commands: Sequence[HeadObject]
) -> Callable[[HeadObject], ObjectInfo]:
    found = object_index.find_rows(connection, [command.key for command in commands])

    def answer(command: HeadObject) -> ObjectInfo:
        return object_index.checked(found.get(command.key) or _missing()).info()

    return answer


def _in_memory(command: GetObject, row: Row, small: bytes | None) -> ObjectStream:
    """What the command asks for of a content that stands in the index."""
    first, size = _span(command, row.size)
    if small is None or len(small) != row.size:
        raise _lost()
    return ObjectStream(row.info(), first, size, FileBody(BytesIO(small), first, size))


def _span(command: GetObject, size: int) -> tuple[int, int]:
    """First byte and number of bytes that the command asks for, of `size` that there are."""
    first = command.first or 0
    if first > 0 and first >= size:
        raise InvalidCommand(
            f"the range begins at byte {first} of {size}", next_step="ask for bytes that are there"
        )
    last = size - 1 if command.last is None else min(command.last, size - 1)
    return first, last - first + 1


def _missing() -> NoReturn:
    raise NotFound("there is no such object", next_step="check the key")


def _lost() -> BackendError:
    return IntegrityMismatch(
        "the content below raw/ is gone or has another size than the index says",
        next_step="restore the file, or put the object again",
    )
