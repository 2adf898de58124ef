"""Commands to a stand-in of S3, in few words, and what it may answer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.client import Access
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.engine import Engine
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.commands.clock import lease_clock
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from tests.unit.s3.stand_in import answer

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
FOREIGN = {"ETag": '"abc"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
OURS = FOREIGN | {"x-amz-meta-signalbox-mark": "op-1", "x-amz-meta-signalbox-sha256": "0" * 64}
MD5_OF_ONE = hashlib.md5(b"one").hexdigest()  # noqa: S324  # S3's own ETag
STORED = answer(headers={"ETag": f'"{MD5_OF_ONE}"'})


def engine(config: dict[str, Any], **more: Any) -> Engine:
    return Access(read_config(config | more), SCOPE).engine()


def make_call(tmp_path: Path, seconds: float = 60) -> Call:
    return Call("op-1", 1, False, lease_clock() + seconds, DirectoryPayloadStore(tmp_path))


def put(config: dict[str, Any], tmp_path: Path, **fields: Any) -> str:
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
    command = PutObject.model_validate(
        {"key": "a", "payload": InlinePayload(data=b"one"), **WHO, **fields}
    )
    return store.put(command, make_call(tmp_path)).etag


def read(config: dict[str, Any], tmp_path: Path) -> bytes:
    store = ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, config)))
    body = store.get(GetObject(key="a", **WHO), make_call(tmp_path)).body
    try:
        return b"".join(iter(lambda: body.read(100_000), b""))
    finally:
        body.close()
