"""What only Azure has: uploaders who write more than content, and containers that are shared."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import urllib3
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from signalbox.adapters.azure_blob.object_driver import open_driver
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import Misconfigured, PreconditionFailed, Unavailable, WeakerFences
from signalbox.commands.object_store import PresignPut
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.desk import Desk, Turn
from signalbox.testing.harness import Harness
from tests.conformance.azure_harness import ACCOUNT, CONTAINER, KEY, azure_harness

OpenDesk = Callable[..., Desk]


@pytest.fixture(scope="module")
def azure() -> Iterator[Harness]:
    with azure_harness() as harness:
        yield harness


@pytest.fixture
def open_desk(azure: Harness, tenant: str, tmp_path: Path) -> OpenDesk:
    def open_one(**config: Any) -> Desk:
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
        store = ObjectStore(open_driver(AdapterContext(scope, Mode.LAB, azure.config | config)))
        return Desk(store, tenant, "dev", DirectoryPayloadStore(tmp_path / "payloads"))

    return open_one


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk()


def upload(desk: Desk, key: str, content: bytes, headers: dict[str, str]) -> None:
    address = desk.store.presign_put(PresignPut(**desk.place, key=key), desk.call())
    headers = address.headers | headers
    assert urllib3.request("PUT", address.url, body=content, headers=headers).status == 201


@cache
def noise(size: int) -> bytes:
    """Nothing that can be compressed, the same each time."""
    return hashlib.shake_128(b"noise").digest(size)


@pytest.mark.parametrize("size", [1000, 5 * 1024**2], ids=["one request", "two requests"])
def test_content_that_came_compressed_is_read_as_it_is_stored(desk: Desk, size: int) -> None:
    content = gzip.compress(noise(size))
    upload(desk, "a", content, {"x-ms-blob-content-encoding": "gzip"})
    assert desk.read("a") == content
    assert desk.head("a").size == len(content)


def test_a_digest_that_the_uploader_claims_is_not_believed(desk: Desk) -> None:
    claimed = hashlib.sha256(b"good").hexdigest()
    upload(desk, "a", b"evil", {"x-ms-meta-signalbox_sha256": claimed})
    with pytest.raises(PreconditionFailed):
        desk.register("a", sha256=claimed)
    true = hashlib.sha256(b"evil").hexdigest()
    assert desk.register("a", sha256=true).sha256 == true


def test_an_object_that_changes_under_its_reader_is_read_again(desk: Desk) -> None:
    desk.put("a", desk.payloads.stage([noise(5 * 1024**2)]))
    body = desk.stream("a").body
    body.read(10)
    desk.put("a", b"another")
    with pytest.raises(Unavailable):
        body.read()


def test_a_prefix_keeps_routes_to_one_container_apart(
    azure: Harness, open_desk: OpenDesk, tenant: str
) -> None:
    desks = [open_desk(), open_desk(prefix="one"), open_desk(prefix="two")]
    for number, desk in enumerate(desks):
        desk.put("a", f"{number}".encode(), if_absent=True)
        desk.register("a")
    assert [desk.read("a") for desk in desks] == [b"0", b"1", b"2"]
    assert [desk.keys() for desk in desks] == [["a"]] * 3
    assert [desk.page(delimiter="/").prefixes for desk in desks] == [[]] * 3
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    service = BlobServiceClient(azure.config["account_url"], credential=credential)
    below = service.get_container_client(CONTAINER).list_blob_names(name_starts_with="one/")
    assert f"one/tenants/{tenant}/dev/raw/a" in below


def test_a_connection_string_serves_for_its_own_account_only(
    azure: Harness, open_desk: OpenDesk, tmp_path: Path
) -> None:
    text = tmp_path / "connection"
    reference = {"account_key_file": None, "connection_string_file": str(text)}
    url = azure.config["account_url"]
    text.write_text(f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}/;")
    open_desk(**reference).put("a", b"there")
    assert open_desk().read("a") == b"there"
    for wrong in (
        f"AccountName=another;AccountKey={KEY}",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=https://elsewhere.example",
        f"AccountName={ACCOUNT};SharedAccessSignature=sv=1",
        "AccountKey=no base64",
    ):
        text.write_text(wrong)
        with pytest.raises(Misconfigured) as refused:
            open_desk(**reference).head("a")
        assert refused.value.next_step
        assert KEY not in str(refused.value)


def test_a_sas_cannot_have_requests_end_with_their_lease_and_says_so(
    open_desk: OpenDesk, tmp_path: Path
) -> None:
    sas = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(object=True, container=True),
        AccountSasPermissions(read=True, write=True, create=True, delete=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    sas_file = tmp_path / "sas"
    sas_file.write_text(sas)
    route = {"account_key_file": None, "sas_file": str(sas_file)}
    desk = open_desk(**route)
    desk.put("a", b"one")
    assert desk.read("a") == b"one"
    with pytest.raises(WeakerFences, match="these credentials"):
        desk.store.check_fences("a", desk.call())
    accepting = open_desk(**route, weaker_fences="accept")
    accepting.store.check_fences("a", accepting.call())
    accepting.delete("a")


@pytest.mark.parametrize("takeover", [False, True])
def test_what_an_earlier_release_wrote_is_known_by_its_number(
    desk: Desk, azure: Harness, takeover: bool
) -> None:
    turn, newer = Turn.numbered(), Turn.numbered()
    service = BlobServiceClient(
        azure.config["account_url"], credential={"account_name": ACCOUNT, "account_key": KEY}
    )
    name = f"tenants/{desk.tenant}/dev/raw/a"
    beside = {"signalbox_op_id": "nightly", "signalbox_seq": str(turn.seq)}
    service.get_blob_client(CONTAINER, name).upload_blob(b"old", metadata=beside)
    if takeover:
        # By the release before, whose worker died before it could say so.
        etag = desk.put("a", b"old", call=desk.call(turn, takeover=True), if_absent=True).etag
        assert etag == desk.head("a").etag
    desk.put("a", b"new", call=desk.call(newer, takeover=takeover), op_id="nightly")
    assert desk.read("a") == b"new"
