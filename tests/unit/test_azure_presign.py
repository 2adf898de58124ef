"""Addresses with a SAS, verified offline as Azure's page "Create a service SAS" has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from signalbox.adapters.azure_blob.object_driver import open_driver
from signalbox.adapters.capability import Capability
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import Unsupported
from signalbox.commands.object_store import PresignGet, PresignPost, PresignPut
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope

SECRET = b"s3cr3t"
ENCODED = base64.b64encode(SECRET).decode()
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
URL = "https://acme.blob.core.windows.net"
KEY = "a b/ü+%.txt"
NAME = f"tenants/t_demo/dev/raw/{KEY}"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each way of naming credentials."""
    contents = {
        "account_key_file": ENCODED,
        "connection_string_file": f"AccountName=acme;AccountKey={ENCODED}",
        "sas_file": "sv=2026-01-01&sig=c2ln",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return {name: str(tmp_path / name) for name in contents}


def make_store(**config: Any) -> ObjectStore:
    full = {"account_url": URL, "container": "data"} | config
    return ObjectStore(open_driver(AdapterContext(SCOPE, Mode.LAB, full)))


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return Call("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))


def signature(field: dict[str, str], name: str) -> str:
    """Of a service SAS on one blob, since version 2020-12-06."""
    lines = [field["sp"], field.get("st", ""), field["se"], f"/blob/acme/data/{name}", "", ""]
    lines += [field.get("spr", ""), field["sv"], field["sr"], "", "", *[""] * 5]
    digest = hmac.new(SECRET, "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def opened(url: str) -> tuple[str, dict[str, str]]:
    address, _, query = url.partition("?")
    return address, dict(parse_qsl(query, strict_parsing=True))


@pytest.mark.parametrize("reference", ["account_key_file", "connection_string_file"])
def test_an_address_reads_this_blob_until_its_end_and_does_nothing_else(
    files: dict[str, str], call: Call, reference: str
) -> None:
    command = PresignGet(key=KEY, expires=timedelta(hours=1), **WHO)
    before = datetime.now(UTC)
    answer = make_store(**{reference: files[reference]}).presign_get(command, call)
    address, field = opened(answer.url)
    assert address == f"{URL}/data/{quote(NAME)}"
    assert (field["sp"], field["sr"], field["spr"]) == ("r", "b", "https")
    assert field["sig"] == signature(field, NAME)
    expiry = datetime.fromisoformat(field["se"])
    assert expiry == answer.expires_at
    second, lasts = timedelta(seconds=1), timedelta(hours=1)
    assert before - second <= expiry - lasts <= datetime.now(UTC) + second


def test_an_address_for_uploads_creates_and_writes_this_blob_only(
    files: dict[str, str], call: Call
) -> None:
    command = PresignPut(key=KEY, content_type="image/png", **WHO)
    store = make_store(account_key_file=files["account_key_file"], prefix="own")
    answer = store.presign_put(command, call)
    address, field = opened(answer.url)
    assert urlsplit(address).path == f"/data/own/{quote(NAME)}"
    assert (field["sp"], field["sr"], field["spr"]) == ("cw", "b", "https")
    assert field["sig"] == signature(field, f"own/{NAME}")
    assert answer.headers == {"x-ms-blob-type": "BlockBlob", "Content-Type": "image/png"}


def test_a_sas_presigns_nothing_and_there_are_no_forms(files: dict[str, str], call: Call) -> None:
    store = make_store(sas_file=files["sas_file"])
    presigning = {Capability.PRESIGN_GET, Capability.PRESIGN_PUT, Capability.PRESIGN_POST}
    assert not presigning & store.capabilities
    for ask in (
        lambda: store.presign_get(PresignGet(key="a", **WHO), call),
        lambda: store.presign_put(PresignPut(key="a", **WHO), call),
        lambda: store.presign_post(
            PresignPost(key="a", content_type="a/b", max_bytes=1, **WHO), call
        ),
    ):
        with pytest.raises(Unsupported) as refused:
            ask()
        assert refused.value.next_step
