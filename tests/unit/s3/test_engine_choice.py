"""Which engine sends what to S3."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from moto import mock_aws

from adapters.s3.client import Access, client_for
from adapters.s3.config import read_config
from adapters.s3.engine import Target
from adapters.s3.obstore_engine import ObstoreEngine
from adapters.s3.obstore_rule import SMALL_BYTES, key_fits, put_fits
from adapters.s3.obstore_store import make_store
from tests.unit.s3.desk import (
    MD5_OF_ONE,
    SCOPE,
    STORED,
    engine,
    put,
)
from tests.unit.s3.stand_in import StandIn


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
