"""Which engine sends what to S3, and what becomes of what obstore cannot do."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from moto import mock_aws

from adapters.port import AdapterContext, Call
from adapters.s3.client import Access, client_for
from adapters.s3.config import read_config
from adapters.s3.engine import Engine, Target
from adapters.s3.object_store import open_adapter
from adapters.s3.obstore_engine import ObstoreEngine
from adapters.s3.obstore_rule import SMALL_BYTES, key_fits, put_fits
from adapters.s3.obstore_store import make_store
from commands.error import LeaseExpired, SignalboxError, Throttled, Unavailable
from commands.object_store import DeleteObject, GetObject, HeadObject, PutObject
from commands.payload import DirectoryPayloadStore, InlinePayload
from commands.scope import Mode, ResourceKind, Scope
from tests.unit.s3_stand_in import StandIn, answer, stand_in

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_demo", env="dev")
WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
FOREIGN = {"ETag": '"abc"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
OURS = FOREIGN | {"x-amz-meta-signalbox-op-id": "op-1", "x-amz-meta-signalbox-sha256": "0" * 64}
MD5_OF_ONE = hashlib.md5(b"one").hexdigest()  # noqa: S324  # S3's own ETag
STORED = answer(headers={"ETag": f'"{MD5_OF_ONE}"'})


@pytest.fixture
def service() -> Iterator[StandIn]:
    with stand_in() as service:
        yield service


@pytest.fixture
def config(tmp_path: Path, service: StandIn) -> dict[str, Any]:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = LAB\naws_secret_access_key = lab\n")
    return {
        "bucket": "data",
        "region": "eu-west-1",
        "endpoint_url": service.endpoint,
        "credentials_file": str(path),
    }


def engine(config: dict[str, Any], **more: Any) -> Engine:
    return Access(read_config(config | more), SCOPE).engine()


def make_call(tmp_path: Path, seconds: float = 60) -> Call:
    return Call("op-1", 1, False, time.monotonic() + seconds, DirectoryPayloadStore(tmp_path))


def put(config: dict[str, Any], tmp_path: Path, **fields: Any) -> str:
    store = open_adapter(AdapterContext(SCOPE, Mode.LAB, config))
    command = PutObject.model_validate(
        {"key": "a", "payload": InlinePayload(data=b"one"), **WHO, **fields}
    )
    return store.put(command, make_call(tmp_path)).etag


def read(config: dict[str, Any], tmp_path: Path) -> bytes:
    store = open_adapter(AdapterContext(SCOPE, Mode.LAB, config))
    body = store.get(GetObject(key="a", **WHO), make_call(tmp_path)).body
    try:
        return b"".join(iter(lambda: body.read(100_000), b""))
    finally:
        body.close()


def test_small_puts_go_by_obstore_in_one_request(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED]
    assert put(config, tmp_path, metadata={"colour": "green"}) == MD5_OF_ONE
    (request,) = service.requests
    assert not request.by_boto3
    assert request.line == "PUT /data/tenants/t_demo/dev/raw/a HTTP/1.1"
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(b"one").hexdigest()
    assert request.headers["x-amz-meta-colour"] == "green"
    assert request.headers["x-amz-meta-signalbox-op-id"] == "op-1"


def test_s3_is_given_a_checksum_to_keep_where_the_route_wants_one(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED] * 2
    put(config, tmp_path)
    put(config | {"checksum": "when_supported"}, tmp_path)
    plain, checked = (request.headers for request in service.requests)
    assert "x-amz-checksum-sha256" not in plain
    digest = base64.b64encode(hashlib.sha256(b"one").digest()).decode()
    assert checked["x-amz-checksum-sha256"] == digest


@pytest.mark.parametrize(
    ("more", "endpoint"),
    [
        ({}, "https://data.s3.eu-west-1.amazonaws.com"),
        ({"addressing_style": "path"}, "https://s3.eu-west-1.amazonaws.com"),
        ({"bucket": "my.data"}, "https://s3.eu-west-1.amazonaws.com"),
        ({"endpoint_url": "http://minio:9000"}, "http://minio:9000"),
        (
            {"endpoint_url": "http://minio:9000", "addressing_style": "virtual"},
            "http://data.minio:9000",
        ),
    ],
)
def test_obstore_asks_the_host_that_boto3_would(
    config: dict[str, Any], more: dict[str, Any], endpoint: str
) -> None:
    read = read_config({name: config[name] for name in config if name != "endpoint_url"} | more)
    store = make_store(read, client_for(read), ReadOnlyCredentials("LAB", "lab", None)).store
    assert store.config["endpoint"] == endpoint
    virtual = str(store.config["virtual_hosted_style_request"]).lower()
    assert virtual == str(f"{read.bucket}." in endpoint).lower()


@pytest.mark.parametrize(
    "more",
    [
        {"engine": "boto3"},
        {"kms_key_id": "key"},
        {"bucket": "zonal--euw1-az1--x-s3"},
        {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/lab"},
    ],
)
def test_a_route_that_obstore_cannot_serve_is_all_boto3s(
    config: dict[str, Any], more: dict[str, Any]
) -> None:
    assert isinstance(engine(config), ObstoreEngine)
    assert not isinstance(engine(config, **more), ObstoreEngine)


def test_obstore_does_not_go_past_moto_to_the_real_s3(config: dict[str, Any]) -> None:
    before = Access(read_config(config), SCOPE)
    assert isinstance(before.engine(), ObstoreEngine)
    with mock_aws():
        assert not isinstance(before.engine(), ObstoreEngine)
        assert not isinstance(engine(config), ObstoreEngine)
    assert isinstance(engine(config), ObstoreEngine)


@pytest.mark.parametrize("name", ["AWS_CHECKSUM_ALGORITHM", "AWS_SERVER_SIDE_ENCRYPTION"])
def test_an_environment_that_obstore_would_obey_keeps_it_out(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "SHA256")
    assert not isinstance(engine(config), ObstoreEngine)


def test_no_environment_variable_moves_what_obstore_sends(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_REGION": "ap-south-1",
        "AWS_BUCKET": "elsewhere",
        "AWS_ACCESS_KEY_ID": "AKIDENV",
        "AWS_SECRET_ACCESS_KEY": "env",
        "AWS_SESSION_TOKEN": "env",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
        "AWS_REQUEST_PAYER": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_S3_EXPRESS": "true",
    }.items():
        monkeypatch.setenv(name, value)
    service.answers = [STORED]
    put(config, tmp_path)
    (request,) = service.requests
    assert request.line == "PUT /data/tenants/t_demo/dev/raw/a HTTP/1.1"
    assert "Credential=LAB/" in request.headers["authorization"]
    assert "/eu-west-1/s3/" in request.headers["authorization"]
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(b"one").hexdigest()
    assert not {"x-amz-security-token", "x-amz-request-payer"} & set(request.headers)


@pytest.mark.parametrize("key", ["a//b", "a/", "/a", "../a", "a/..", "a/./b", "a\nb", ".", ""])
def test_keys_that_obstore_would_change_or_refuse_are_boto3s(key: str) -> None:
    assert not key_fits(key)


@pytest.mark.parametrize("key", ["a", "a/b", "...", "a/.../b", ".hidden", "a..b", "..a/b..", "ß"])
def test_other_keys_are_obstores(key: str) -> None:
    assert key_fits(key)


@pytest.mark.parametrize(
    ("content", "content_type", "metadata"),
    [
        (b"x" * (SMALL_BYTES + 1), "text/plain", {}),
        (b"x", "text/plain;  charset=utf-8", {}),
        (b"x", "text/plain", {"note": "two  spaces"}),
        (b"x", "text/plain", {"content-type": "text/html"}),
        (b"x", "text/plain", {"cache-control": "no-store"}),
    ],
    ids=["large", "type", "spaces", "content-type", "cache-control"],
)
def test_puts_that_obstore_would_send_otherwise_are_boto3s(
    content: bytes, content_type: str, metadata: dict[str, str]
) -> None:
    config = read_config({"bucket": "data"})
    assert put_fits(Target(config, "a", "text/plain", {}), b"x")
    assert not put_fits(Target(config, "a", content_type, metadata), content)


def test_what_fails_by_obstore_is_asked_of_boto3_whose_answer_counts(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    # A pooled connection gone stale: the service closes without an answer.
    service.answers = [b"", answer(headers={"ETag": '"second"'})]
    assert put(config, tmp_path) == "second"
    assert [request.by_boto3 for request in service.requests] == [False, True]


def test_the_second_attempt_needs_the_lease_too(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [b""]
    call = make_call(tmp_path)
    over = call.deadline + 1
    service.after_request = lambda: monkeypatch.setattr(
        "adapters.port.time.monotonic", lambda: over
    )
    target = Target(read_config(config), "a", "text/plain", {})
    with pytest.raises(LeaseExpired):
        engine(config).put(target, b"one", call, {})
    assert len(service.requests) == 1


def test_nothing_is_sent_once_the_lease_is_over(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    target = Target(read_config(config), "a", "text/plain", {})
    with pytest.raises(LeaseExpired):
        engine(config).put(target, b"one", make_call(tmp_path, -1), {})
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "kind"), [(503, Throttled), (429, Throttled), (500, Unavailable)]
)
def test_a_service_that_is_down_is_not_asked_twice(
    service: StandIn, config: dict[str, Any], tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    service.answers = [answer(status, body=b"<Error><Message>s3cr3t</Message></Error>")]
    with pytest.raises(kind) as caught:
        put(config, tmp_path)
    assert "s3cr3t" not in str(caught.value)
    assert len(service.requests) == 1


def test_a_service_that_does_not_answer_is_not_asked_twice(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.s3.obstore_store.READ_SECONDS", 1)
    service.answers = [None]
    with pytest.raises(Unavailable, match="timed out"):
        put(config, tmp_path)
    assert len(service.requests) == 1


def test_content_that_is_not_of_our_digest_is_read_by_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    # Metadata stays when someone copies other content over an object.
    service.answers = [answer(headers=OURS, body=b"other")] * 2
    assert read(config, tmp_path) == b"other"
    assert [request.by_boto3 for request in service.requests] == [False, True]


def test_what_signalbox_did_not_write_is_read_by_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [answer(headers=FOREIGN, body=b"other")] * 4
    assert read(config, tmp_path) == b"other"
    there = engine(config).look("a", sure=True)
    assert there is not None
    assert there.etag == "abc"
    assert [request.by_boto3 for request in service.requests] == [False, True] * 2


@pytest.mark.parametrize("checksum", ["when_required", "when_supported"])
def test_large_content_is_streamed_by_obstore_unless_s3_has_a_checksum_of_it(
    service: StandIn, config: dict[str, Any], tmp_path: Path, checksum: str
) -> None:
    content = os.urandom(3 * SMALL_BYTES + 7)
    service.answers = [answer(headers=OURS, body=content)] * 2
    assert read(config | {"checksum": checksum}, tmp_path) == content
    assert service.requests[-1].by_boto3 == (checksum == "when_supported")


REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
def test_no_redirect_is_taken_for_an_answer(
    service: StandIn, config: dict[str, Any], tmp_path: Path, status: int
) -> None:
    store = open_adapter(AdapterContext(SCOPE, Mode.LAB, config))
    call = make_call(tmp_path)
    for act in (
        lambda: put(config, tmp_path),
        lambda: read(config, tmp_path),
        lambda: store.head(HeadObject(key="a", **WHO), call),
        lambda: store.delete(DeleteObject(key="a", **WHO), call),
    ):
        with stand_in() as elsewhere:
            elsewhere.answers = [answer(headers=FOREIGN, body=b"a page")] * 3
            moved = answer(status, headers={"Location": f"{elsewhere.endpoint}/page"})
            service.answers = [moved] * 4
            with pytest.raises(SignalboxError) as caught:
                act()
            assert caught.value.code != "NOT_FOUND"


def test_etags_that_are_no_digests_are_confirmed_once_and_then_left_to_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    stored = answer(headers={"ETag": '"abc"'})
    service.answers = [stored, answer(headers=OURS), stored]
    assert put(config, tmp_path) == "abc"
    assert put(config, tmp_path) == "abc"
    asked = [(request.line.split(" ")[0], request.by_boto3) for request in service.requests]
    assert asked == [("PUT", False), ("HEAD", True), ("PUT", True)]


def test_a_stream_that_breaks_off_is_temporary(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    whole = answer(headers=OURS, body=b"x" * 3 * SMALL_BYTES)
    service.answers = [whole[: -SMALL_BYTES // 2]]
    with pytest.raises(Unavailable, match="broke off") as caught:
        read(config, tmp_path)
    assert caught.value.tenant_id == "t_demo"


def test_new_credentials_make_a_new_store(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.s3.client.CREDENTIALS_SECONDS", 0)
    service.answers = [STORED] * 2
    put(config, tmp_path)
    credentials: Any = client_for(read_config(config), SCOPE)._request_signer._credentials  # type: ignore[attr-defined]
    credentials._frozen_credentials = credentials._frozen_credentials._replace(access_key="NEW")
    put(config, tmp_path)
    keys = [request.headers["authorization"].split("/")[0] for request in service.requests]
    assert [key.rpartition("=")[2] for key in keys] == ["LAB", "NEW"]


def test_a_child_of_a_process_that_used_obstore_uses_boto3(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED] * 2
    put(config, tmp_path)
    child = os.fork()
    if child == 0:
        fits = isinstance(engine(config), ObstoreEngine)
        os._exit(1 if fits or put(config, tmp_path) != MD5_OF_ONE else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert isinstance(engine(config), ObstoreEngine)
    assert [request.by_boto3 for request in service.requests] == [False, True]
