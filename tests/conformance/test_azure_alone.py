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
from signalbox.testing.harness import Harness
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.conformance.azure_harness import ACCOUNT, CONTAINER, KEY, azure_harness

OpenObjects = Callable[..., ObjectCaller]


@pytest.fixture(scope="module")
def azure() -> Iterator[Harness]:
    with azure_harness() as harness:
        yield harness


@pytest.fixture
def open_objects(azure: Harness, tenant: str, tmp_path: Path) -> OpenObjects:
    def open_one(**config: Any) -> ObjectCaller:
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
        store = ObjectStore(open_driver(AdapterContext(scope, Mode.LAB, azure.config | config)))
        return ObjectCaller(store, tenant, "dev", DirectoryPayloadStore(tmp_path / "payloads"))

    return open_one


@pytest.fixture
def objects(open_objects: OpenObjects) -> ObjectCaller:
    return open_objects()


def upload(objects: ObjectCaller, key: str, content: bytes, headers: dict[str, str]) -> None:
    address = objects.store.presign_put(PresignPut(**objects.scope_fields, key=key), objects.call())
    headers = address.headers | headers
    assert urllib3.request("PUT", address.url, body=content, headers=headers).status == 201


@cache
def noise(size: int) -> bytes:
    """Nothing that can be compressed, the same each time."""
    return hashlib.shake_128(b"noise").digest(size)


@pytest.mark.parametrize("size", [1000, 5 * 1024**2], ids=["one request", "two requests"])
def test_content_that_came_compressed_is_read_as_it_is_stored(
    objects: ObjectCaller, size: int
) -> None:
    content = gzip.compress(noise(size))
    upload(objects, "a", content, {"x-ms-blob-content-encoding": "gzip"})
    assert objects.read("a") == content
    assert objects.head("a").size == len(content)


def test_a_digest_that_the_uploader_claims_is_not_believed(objects: ObjectCaller) -> None:
    claimed = hashlib.sha256(b"good").hexdigest()
    upload(objects, "a", b"evil", {"x-ms-meta-signalbox_sha256": claimed})
    with pytest.raises(PreconditionFailed):
        objects.register("a", sha256=claimed)
    true = hashlib.sha256(b"evil").hexdigest()
    assert objects.register("a", sha256=true).sha256 == true


def test_an_object_that_changes_under_its_reader_is_read_again(objects: ObjectCaller) -> None:
    objects.put("a", objects.payloads.stage([noise(5 * 1024**2)]))
    body = objects.stream("a").body
    body.read(10)
    objects.put("a", b"another")
    with pytest.raises(Unavailable):
        body.read()


def test_a_prefix_keeps_routes_to_one_container_apart(
    azure: Harness, open_objects: OpenObjects, tenant: str
) -> None:
    callers = [open_objects(), open_objects(prefix="one"), open_objects(prefix="two")]
    for number, objects in enumerate(callers):
        objects.put("a", f"{number}".encode(), if_absent=True)
        objects.register("a")
    assert [objects.read("a") for objects in callers] == [b"0", b"1", b"2"]
    assert [objects.keys() for objects in callers] == [["a"]] * 3
    assert [objects.page(delimiter="/").prefixes for objects in callers] == [[]] * 3
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    service = BlobServiceClient(azure.config["account_url"], credential=credential)
    below = service.get_container_client(CONTAINER).list_blob_names(name_starts_with="one/")
    assert f"one/tenants/{tenant}/dev/raw/a" in below


def test_a_connection_string_serves_for_its_own_account_only(
    azure: Harness, open_objects: OpenObjects, tmp_path: Path
) -> None:
    text = tmp_path / "connection"
    reference = {"account_key_file": None, "connection_string_file": str(text)}
    url = azure.config["account_url"]
    text.write_text(f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}/;")
    open_objects(**reference).put("a", b"there")
    assert open_objects().read("a") == b"there"
    for wrong in (
        f"AccountName=another;AccountKey={KEY}",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=https://elsewhere.example",
        f"AccountName={ACCOUNT};SharedAccessSignature=sv=1",
        "AccountKey=no base64",
    ):
        text.write_text(wrong)
        with pytest.raises(Misconfigured) as refused:
            open_objects(**reference).head("a")
        assert refused.value.next_step
        assert KEY not in str(refused.value)


def test_a_sas_cannot_have_requests_end_with_their_lease_and_says_so(
    open_objects: OpenObjects, tmp_path: Path
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
    objects = open_objects(**route)
    objects.put("a", b"one")
    assert objects.read("a") == b"one"
    with pytest.raises(WeakerFences, match="these credentials"):
        objects.store.check_fences("a", objects.call())
    accepting = open_objects(**route, weaker_fences="accept")
    accepting.store.check_fences("a", accepting.call())
    accepting.delete("a")


@pytest.mark.parametrize("takeover", [False, True])
def test_what_an_earlier_release_wrote_is_known_by_its_number(
    objects: ObjectCaller, azure: Harness, takeover: bool
) -> None:
    turn, newer = Acceptance.numbered(), Acceptance.numbered()
    service = BlobServiceClient(
        azure.config["account_url"], credential={"account_name": ACCOUNT, "account_key": KEY}
    )
    name = f"tenants/{objects.tenant}/dev/raw/a"
    beside = {"signalbox_op_id": "nightly", "signalbox_seq": str(turn.seq)}
    service.get_blob_client(CONTAINER, name).upload_blob(b"old", metadata=beside)
    if takeover:
        # By the release before, whose worker died before it could say so.
        etag = objects.put("a", b"old", call=objects.call(turn, takeover=True), if_absent=True).etag
        assert etag == objects.head("a").etag
    objects.put("a", b"new", call=objects.call(newer, takeover=takeover), op_id="nightly")
    assert objects.read("a") == b"new"
