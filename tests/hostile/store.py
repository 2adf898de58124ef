"""Both object stores on a hostile server, and every operation that asks it something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.adapters.azure_blob.object_driver import open_driver as open_azure
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.object_driver import open_driver as open_s3
from signalbox.commands.clock import lease_clock
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    PutObject,
    RegisterObject,
)
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.workers.execution.result_json import to_result

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
LARGE = bytes(6_000_000)
"""More than what buffers of sockets take, and no more than one request has."""
BACKENDS = ("s3", "s3-boto3", "azure_blob")


@dataclass
class Shop:
    """A store, and calls with a lease of so many seconds."""

    backend: str
    store: ObjectStore
    payloads: DirectoryPayloadStore
    seconds: float = 60

    def call(self) -> Call:
        return Call("op-1", 1, False, lease_clock() + self.seconds, self.payloads)


def open_shop(backend: str, endpoint: str, directory: Path, seconds: float = 60) -> Shop:
    secret = directory / "secret"
    if backend == "azure_blob":
        secret.write_text("aHVudGVyMg==")
        config = {
            "account_url": f"{endpoint}/acme",
            "container": "data",
            "account_key_file": str(secret),
        }
        opened = ObjectStore(open_azure(AdapterContext(SCOPE, Mode.LAB, config)))
    else:
        secret.write_text("[default]\naws_access_key_id = LAB\naws_secret_access_key = lab\n")
        config = {
            "bucket": "data",
            "region": "eu-west-1",
            "endpoint_url": endpoint,
            "credentials_file": str(secret),
            "engine": "boto3" if backend == "s3-boto3" else "auto",
        }
        opened = ObjectStore(open_s3(AdapterContext(SCOPE, Mode.LAB, config)))
    return Shop(backend, opened, DirectoryPayloadStore(directory / "payloads"), seconds)


def put(shop: Shop) -> object:
    command = PutObject(key="a", payload=InlinePayload(data=b"one"), **WHO)
    return shop.store.put(command, shop.call())


def put_large(shop: Shop) -> object:
    command = PutObject(key="a", payload=InlinePayload(data=LARGE), **WHO)
    return shop.store.put(command, shop.call())


def replace(shop: Shop) -> object:
    command = PutObject(
        key="a",
        payload=InlinePayload(data=b"one"),
        condition=Condition(if_match="0123456789abcdef0123456789abcdef"),
        **WHO,
    )
    return shop.store.put(command, shop.call())


def get(shop: Shop) -> object:
    answer = shop.store.get(GetObject(key="a", **WHO), shop.call())
    return to_result(answer, shop.payloads, 65536, lambda _: None)


def get_range(shop: Shop) -> object:
    answer = shop.store.get(GetObject(key="a", first=2, last=5, **WHO), shop.call())
    return to_result(answer, shop.payloads, 65536, lambda _: None)


def head(shop: Shop) -> object:
    return shop.store.head(HeadObject(key="a", **WHO), shop.call())


def delete(shop: Shop) -> object:
    return shop.store.delete(DeleteObject(key="a", **WHO), shop.call())


def list_keys(shop: Shop) -> object:
    return shop.store.list(ListObjects(limit=3, **WHO), shop.call())


def register(shop: Shop) -> object:
    return shop.store.register(RegisterObject(key="a", sha256="0" * 64, **WHO), shop.call())


Operation = Callable[[Shop], object]
READS = (get, get_range, head, list_keys)
ALL = (put, put_large, replace, *READS, delete, register)
