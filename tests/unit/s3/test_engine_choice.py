"""Which engine sends what to S3, and what it says."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from moto import mock_aws

from signalbox.adapters.s3.client import Access
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.wire_engine import WireEngine
from signalbox.adapters.s3.wire_rule import environment_fits
from tests.unit.s3.engine_calls import MD5_OF_ONE, SCOPE, STORED, engine, put
from tests.unit.s3.stand_in import Request, StandIn


def path_of(request: Request) -> str:
    return urlsplit(request.line.split(" ")[1]).path


def query_of(request: Request) -> dict[str, str]:
    fields = parse_qs(urlsplit(request.line.split(" ")[1]).query, strict_parsing=True)
    return {name: value for name, (value,) in fields.items()}


def test_a_small_put_is_one_request_that_says_all_and_signs_it(
    service: StandIn, config: dict[str, Any], tmp_path: Path
) -> None:
    service.answers = [STORED]
    assert put(config, tmp_path, metadata={"colour": "green"}) == MD5_OF_ONE
    (request,) = service.requests
    assert not request.by_boto3
    assert path_of(request) == "/data/tenants/t_demo/dev/raw/a"
    assert request.headers["content-md5"] == base64.b64encode(bytes.fromhex(MD5_OF_ONE)).decode()
    assert request.headers["x-amz-meta-colour"] == "green"
    assert request.headers["x-amz-meta-signalbox-mark"] == "op-1"
    assert request.headers["if-none-match"] == "*"
    signed = query_of(request)["X-Amz-SignedHeaders"].split(";")
    unsigned = set(request.headers) - set(signed)
    assert unsigned <= {"content-length", "accept-encoding"}


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


@pytest.mark.parametrize("engine_name", ["auto", "boto3"])
@pytest.mark.parametrize("fenced", [True, False])
def test_every_write_ends_with_its_lease(
    service: StandIn, config: dict[str, Any], tmp_path: Path, engine_name: str, fenced: bool
) -> None:
    service.answers = [STORED]
    put(config | {"engine": engine_name, "fenced_writes": fenced}, tmp_path)
    (request,) = service.requests
    query = query_of(request)
    # The lease of these calls has 60 s, and a margin is kept.
    assert 50 < int(query["X-Amz-Expires"]) < 60
    assert query["X-Amz-Credential"].startswith("LAB/")
    assert "authorization" not in request.headers
    assert request.by_boto3 == (engine_name == "boto3")


@pytest.mark.parametrize(
    ("more", "host"),
    [
        ({}, "data.s3.eu-west-1.amazonaws.com"),
        ({"addressing_style": "path"}, "s3.eu-west-1.amazonaws.com"),
        ({"bucket": "my.data"}, "s3.eu-west-1.amazonaws.com"),
        ({"endpoint_url": "http://minio:9000"}, "minio:9000"),
        ({"endpoint_url": "http://minio:9000", "addressing_style": "virtual"}, "data.minio:9000"),
    ],
)
def test_the_wire_leads_to_the_host_that_boto3_would_ask(
    config: dict[str, Any], more: dict[str, Any], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = {name: config[name] for name in config if name != "endpoint_url"} | more
    # What this machine says of proxies is not the question here.
    monkeypatch.setattr("signalbox.adapters.s3.client.environment_fits", lambda _: True)
    found = Access(read_config(route), SCOPE).engine()
    assert isinstance(found, WireEngine)
    assert found._wire.host == host
    target, _ = found._signed("GET", "a b", {}, at=1, expiry=2)
    bucket = "" if f"{route['bucket']}." in host else f"/{route['bucket']}"
    assert target.startswith(f"{bucket}/a%20b?")


@pytest.mark.parametrize(
    "more",
    [
        {"engine": "boto3"},
        {"kms_key_id": "key"},
        {"bucket": "zonal--euw1-az1--x-s3"},
        {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/lab"},
    ],
)
def test_a_route_that_the_wire_cannot_serve_is_all_boto3s(
    config: dict[str, Any], more: dict[str, Any]
) -> None:
    assert isinstance(engine(config), WireEngine)
    assert not isinstance(engine(config, **more), WireEngine)


def test_the_wire_does_not_go_past_moto_to_the_real_s3(config: dict[str, Any]) -> None:
    before = Access(read_config(config), SCOPE)
    assert isinstance(before.engine(), WireEngine)
    with mock_aws():
        assert not isinstance(before.engine(), WireEngine)
        assert not isinstance(engine(config), WireEngine)
    assert isinstance(engine(config), WireEngine)


@pytest.mark.parametrize(
    ("name", "value", "endpoint"),
    [
        ("HTTP_PROXY", "http://proxy:3128", "http://minio.example"),
        ("HTTPS_PROXY", "http://proxy:3128", "https://minio.example"),
    ],
)
def test_an_environment_that_only_boto3_obeys_is_boto3s(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str, endpoint: str
) -> None:
    # A client is shared by all that is reached alike, so each case has an address of its own.
    endpoint = f"{endpoint}:{9000 + len(name)}"
    monkeypatch.setenv(name, value)
    assert not environment_fits(endpoint)
    assert not isinstance(engine(config, endpoint_url=endpoint), WireEngine)


def test_no_environment_variable_moves_what_is_sent(
    service: StandIn, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_REGION": "ap-south-1",
        "AWS_ACCESS_KEY_ID": "AKIDENV",
        "AWS_SECRET_ACCESS_KEY": "env",
        "AWS_SESSION_TOKEN": "env",
    }.items():
        monkeypatch.setenv(name, value)
    service.answers = [STORED]
    put(config, tmp_path)
    (request,) = service.requests
    assert path_of(request) == "/data/tenants/t_demo/dev/raw/a"
    query = query_of(request)
    assert query["X-Amz-Credential"].startswith("LAB/")
    assert "/eu-west-1/s3/" in query["X-Amz-Credential"]
    assert "X-Amz-Security-Token" not in query
