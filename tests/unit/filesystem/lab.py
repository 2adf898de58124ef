"""A filesystem store in a test's own directory, and a look at what it put there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from adapters.filesystem.object_store import FilesystemObjectStore
from adapters.port import Call
from commands.error import (
    SignalboxError,
)
from commands.object_store import PutObject, PutResult
from commands.payload import DirectoryPayloadStore, InlinePayload
from commands.scope import ResourceKind, Scope
from tests.conformance.desk import Desk


def open_desk(directory: Path, tenant: str = "t_a") -> Desk:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
    store = FilesystemObjectStore(str(directory / "base"), scope)
    return Desk(store, tenant, "dev", DirectoryPayloadStore(directory / "payloads"))


def files(own: Path) -> list[str]:
    raw = own / "raw"
    return sorted(str(path.relative_to(raw)) for path in raw.rglob("*") if not path.is_dir())


def item(desk: Desk, key: str, content: bytes = b"x", **fields: Any) -> tuple[PutObject, Call]:
    call = fields.pop("call", None) or desk.call()
    payload = fields.pop("payload", InlinePayload(data=content))
    return PutObject(**desk.place, key=key, payload=payload, **fields), call


def put_many(desk: Desk, items: list[tuple[PutObject, Call]]) -> list[PutResult | SignalboxError]:
    assert isinstance(desk.store, FilesystemObjectStore)
    return desk.store.put_many(items)


def collect(desk: Desk, older_than: timedelta = timedelta(0)) -> int:
    assert isinstance(desk.store, FilesystemObjectStore)
    return desk.store.collect_orphans(older_than)
