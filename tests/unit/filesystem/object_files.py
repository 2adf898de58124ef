"""A filesystem store in a test's own directory, and a look at what it put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw

from signalbox.adapters.filesystem.connection import POOL
from signalbox.adapters.filesystem.object_driver import FilesystemObjectDriver
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, DeleteResult, PutObject, PutResult
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.testing.object_caller import Acceptance, ObjectCaller

NO_PAYLOADS = DirectoryPayloadStore(Path("/nonexistent"))


def open_objects(directory: Path, tenant: str = "t_a") -> ObjectCaller:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
    store = ObjectStore(FilesystemObjectDriver(str(directory / "base"), scope))
    return ObjectCaller(store, tenant, "dev", DirectoryPayloadStore(directory / "payloads"))


def files(own: Path) -> list[str]:
    raw = own / "raw"
    return sorted(str(path.relative_to(raw)) for path in raw.rglob("*") if not path.is_dir())


def rows(own: Path, statements: str, name: str = "objects.db") -> list[Any]:
    """What the statements answer on the scope's database."""
    with closing(apsw.Connection(str(own / name))) as connection:
        return list(connection.execute(statements))


def take_back_marks(own: Path) -> None:
    """Make of an index what the release without marks and tombstones had left."""
    for table in ("objects", "assets"):
        rows(own, f"ALTER TABLE {table} RENAME COLUMN mark TO op_id")
    rows(own, "DROP TABLE tombstones; PRAGMA user_version = 2")


def item(
    objects: ObjectCaller, key: str, content: bytes = b"x", **fields: Any
) -> tuple[PutObject, Call]:
    call = fields.pop("call", None) or objects.call()
    payload = fields.pop("payload", InlinePayload(data=content))
    return PutObject(**objects.scope_fields, key=key, payload=payload, **fields), call


def put_many(
    objects: ObjectCaller, items: list[tuple[PutObject, Call]]
) -> list[PutResult | SignalboxError]:
    return objects.store.put_many(items)


def delete_many(
    objects: ObjectCaller, items: list[tuple[DeleteObject, Call]]
) -> list[DeleteResult | SignalboxError]:
    return objects.store.delete_many(items)


def collect(objects: ObjectCaller, older_than: timedelta = timedelta(0)) -> int:
    return objects.store.collect_orphans(older_than)


def call_of(command: Command, *, seconds: float = 60, **fields: Any) -> Call:
    """The call of an accepted command; its `seq` is the next one where none is given."""
    return Call(
        mark=command.op_id,
        seq=fields.pop("seq", None) or Acceptance().seq,
        takeover=fields.pop("takeover", False),
        deadline=lease_clock() + seconds,
        payloads=NO_PAYLOADS,
    )


@contextmanager
def commits(database: Path) -> Iterator[Callable[[], int]]:
    """Counts the transactions that are committed to it: frames of its log that end one."""
    wal = Path(f"{database}-wal")
    before = _ends(wal)
    yield lambda: _ends(wal) - before


@contextmanager
def instructions(database: Path) -> Iterator[Callable[[], int]]:
    """Counts what SQLite's machine executes on this database meanwhile, in steps of ten."""
    count = 0

    def ten_more() -> bool:
        nonlocal count
        count += 10
        return False

    def watch(connection: apsw.Connection) -> None:
        connection.set_progress_handler(ten_more, 10)

    POOL.forget(str(database))  # connections that are open already are not watched
    apsw.connection_hooks.append(watch)
    try:
        yield lambda: count
    finally:
        apsw.connection_hooks.remove(watch)
        POOL.forget(str(database))


def _ends(wal: Path) -> int:
    log = wal.read_bytes()
    size, salt = int.from_bytes(log[8:12], "big"), log[16:24]
    headers = (log[at : at + 24] for at in range(32, len(log), size + 24))
    return sum(head[4:8] != bytes(4) and head[8:16] == salt for head in headers)
