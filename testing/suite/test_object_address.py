"""URIs, presigned URLs and forms of objects, and the registration of presigned uploads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from signalbox.adapters.capability import Capability
from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import NotFound, PreconditionFailed, SignalboxError, Unsupported
from signalbox.commands.object_store import (
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PresignGet,
    PresignPost,
    PresignPut,
)
from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import Harness
from signalbox.testing.object_caller import ObjectCaller, OpenObjects

KIND = ResourceKind.OBJECT_STORE


def presign_get(objects: ObjectCaller, key: str = "a", **fields: timedelta) -> PresignedGet:
    return objects.store.presign_get(
        PresignGet(**objects.scope_fields, key=key, **fields), objects.call()
    )


def presign_post(
    objects: ObjectCaller, key: str = "a", content_type: str = "text/plain"
) -> PresignedPost:
    command = PresignPost(**objects.scope_fields, key=key, content_type=content_type, max_bytes=100)
    return objects.store.presign_post(command, objects.call())


def presign_put(
    objects: ObjectCaller, key: str = "a", content_type: str = "text/plain"
) -> PresignedPut:
    command = PresignPut(**objects.scope_fields, key=key, content_type=content_type)
    return objects.store.presign_put(command, objects.call())


def put_absent(objects: ObjectCaller) -> None:
    objects.put("a", if_absent=True)


def delete_matching(objects: ObjectCaller) -> None:
    objects.delete("a", if_match=objects.put("a").etag)


USES: dict[Capability, Callable[[ObjectCaller], object]] = {
    Capability.PRESIGN_GET: presign_get,
    Capability.PRESIGN_POST: presign_post,
    Capability.PRESIGN_PUT: presign_put,
    Capability.CONDITIONAL_PUT: put_absent,
    Capability.CONDITIONAL_DELETE: delete_matching,
}


@pytest.mark.parametrize("capability", Capability)
def test_a_capability_is_there_as_declared_or_unsupported(
    objects: ObjectCaller, harness: Harness, capability: Capability
) -> None:
    declared = find_backend(KIND, harness.backend_type).capabilities
    assert objects.store.capabilities <= declared
    if capability in objects.store.capabilities:
        USES[capability](objects)
        return
    with pytest.raises(Unsupported) as refused:
        USES[capability](objects)
    detail = refused.value.detail()
    assert (detail.code, detail.http_status) == ("UNSUPPORTED_OPERATION", 501)
    assert (detail.kind, detail.backend_type) == ("object_store", harness.backend_type)
    assert (detail.tenant_id, detail.env) == (objects.tenant, objects.env)
    assert detail.next_step


@pytest.mark.parametrize("key", ["a", "docs/a b+c%2F?x=1#y&z.txt", "日本語"])
def test_a_presigned_address_reads_the_object(objects: ObjectCaller, key: str) -> None:
    if Capability.PRESIGN_GET not in objects.store.capabilities:
        with pytest.raises(Unsupported):
            presign_get(objects, key)
        return
    objects.put(key, b"by address", content_type="text/plain")
    before = datetime.now(UTC)
    signed = presign_get(objects, key, expires=timedelta(minutes=5))
    answer = urllib3.request("GET", signed.url)
    assert (answer.status, answer.data) == (200, b"by address")
    second, lasts = timedelta(seconds=1), timedelta(minutes=5)
    assert before - second <= signed.expires_at - lasts <= datetime.now(UTC) + second


def test_a_presigned_address_is_made_without_a_look(objects: ObjectCaller) -> None:
    if Capability.PRESIGN_GET in objects.store.capabilities:
        assert urllib3.request("GET", presign_get(objects, "missing").url).status == 404
    else:
        with pytest.raises(Unsupported):
            presign_get(objects, "missing")


@pytest.mark.parametrize("key", ["a", "docs/a b+c%2F?x=1#y&z.txt", "日本語"])
def test_a_presigned_form_uploads_what_register_then_records(
    objects: ObjectCaller, key: str
) -> None:
    if Capability.PRESIGN_POST not in objects.store.capabilities:
        with pytest.raises(Unsupported):
            presign_post(objects, key)
        return
    form = presign_post(objects, key)
    assert form.expires_at > datetime.now(UTC)
    parts: dict[str, str | bytes | tuple[str, str | bytes] | tuple[str, str | bytes, str]]
    parts = {**form.fields, "file": ("a.txt", b"by form", "text/plain")}
    assert urllib3.request("POST", form.url, fields=parts).status in (200, 201, 204)
    assert objects.read(key) == b"by form"
    sha256 = hashlib.sha256(b"by form").hexdigest()
    record = objects.register(key, size_bytes=7, sha256=sha256)
    assert (record.key, record.size, record.sha256) == (key, 7, sha256)
    assert record.content_type == "text/plain"


def test_a_uri_names_the_object_whether_it_exists_or_not(objects: ObjectCaller) -> None:
    uri = objects.uri("docs/a.txt")
    scheme, _, rest = uri.partition("://")
    assert scheme.islower()
    assert rest.endswith(f"/tenants/{objects.tenant}/{objects.env}/raw/docs/a.txt")
    assert objects.put("docs/a.txt").uri == uri == objects.uri("docs/a.txt")


def test_a_uri_needs_no_call_to_the_backend(open_objects: OpenObjects, harness: Harness) -> None:
    assert open_objects(config=harness.unusable_config).uri("a")


def test_a_record_tells_what_was_registered(objects: ObjectCaller) -> None:
    put = objects.put("a", b"four", content_type="text/plain")
    record = objects.register("a", size_bytes=4, sha256=put.sha256, metadata={"by": "browser"})
    assert (record.key, record.uri, record.size, record.etag) == ("a", put.uri, 4, put.etag)
    assert (record.content_type, record.sha256) == ("text/plain", put.sha256)
    assert record.metadata == {"by": "browser"}
    assert abs(datetime.now(UTC) - record.registered_at) < timedelta(minutes=1)
    assert record.asset_id


def test_what_is_missing_cannot_be_registered(objects: ObjectCaller) -> None:
    with pytest.raises(NotFound):
        objects.register("a")


@pytest.mark.parametrize("wrong", [{"size_bytes": 5}, {"size_bytes": 0}, {"sha256": "0" * 64}])
def test_what_differs_cannot_be_registered(objects: ObjectCaller, wrong: dict[str, Any]) -> None:
    objects.put("a", b"four")
    with pytest.raises(PreconditionFailed):
        objects.register("a", **wrong)


def test_a_second_register_names_the_same_asset(objects: ObjectCaller) -> None:
    objects.put("a")
    first = objects.register("a")
    again = objects.register("a", metadata={"n": "2"})
    assert again.asset_id == first.asset_id
    assert again.metadata == {"n": "2"}


def test_another_content_or_key_is_another_asset(objects: ObjectCaller) -> None:
    objects.put("a", b"one")
    objects.put("b", b"one")
    first, beside = objects.register("a"), objects.register("b")
    objects.put("a", b"two")
    assert len({first.asset_id, beside.asset_id, objects.register("a").asset_id}) == 3


def test_records_are_not_listed_with_the_objects(objects: ObjectCaller) -> None:
    objects.put("a")
    objects.register("a")
    assert objects.keys() == ["a"]
    assert objects.page(delimiter="/").prefixes == []


def test_an_expired_lease_registers_nothing(objects: ObjectCaller) -> None:
    objects.put("a")
    with pytest.raises(SignalboxError) as refused:
        objects.register("a", call=objects.call(seconds=-1))
    assert refused.value.code == "LEASE_EXPIRED"


def test_what_is_put_to_a_presigned_address_is_there(objects: ObjectCaller) -> None:
    if Capability.PRESIGN_PUT not in objects.store.capabilities:
        with pytest.raises(Unsupported):
            presign_put(objects)
        return
    address = presign_put(objects, "up/load ü?#%.txt")
    answer = urllib3.request("PUT", address.url, body=b"uploaded", headers=address.headers)
    assert answer.status in (200, 201), answer.data
    assert objects.read("up/load ü?#%.txt") == b"uploaded"
    assert objects.head("up/load ü?#%.txt").content_type == "text/plain"
    assert address.expires_at > datetime.now(UTC)
    assert objects.register("up/load ü?#%.txt", size_bytes=8).size == 8
