"""The config of an S3 route: what it must name, what it must not hold, what it leads to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.s3.client import client_for
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.object_driver import check_config
from signalbox.commands.error import InvalidRouteConfig, Misconfigured
from signalbox.commands.scope import ResourceKind

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/lab"


@pytest.fixture
def credentials_file(tmp_path: Path) -> str:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = AKIDLAB\naws_secret_access_key = s3cr3t\n")
    return str(path)


@pytest.mark.parametrize("config", [{}, {"bucket": ""}, {"region": "eu-west-1"}])
def test_a_route_without_a_bucket_is_refused_and_says_what_to_set(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig, match="no bucket") as caught:
        check_config(config)
    assert caught.value.next_step is not None
    assert "set `bucket`" in caught.value.next_step
    assert caught.value.backend_type == "s3"


@pytest.mark.parametrize(
    "key",
    [
        "aws_secret_access_key",
        "aws_access_key_id",
        "secret_key",
        "password",
        "token",
        "aws_session_token",
        "Credentials",
    ],
)
def test_credentials_in_a_route_are_refused_without_repeating_them(key: str) -> None:
    with pytest.raises(InvalidRouteConfig, match="never stand in a route") as caught:
        check_config({"bucket": "data", key: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"buckett": "x"},
        {"bucket": "a/b"},
        {"bucket": "arn:aws:s3:::data"},
        {"addressing_style": "dns"},
        {"checksum": "never"},
        {"endpoint_url": "minio:9000"},
        {"endpoint_url": "https://key:hunter2@minio:9000"},
        {"region": "EU West"},
        {"role_arn": "admin"},
        {"bucket": ARN, "addressing_style": "path"},
        {"fenced_writes": "perhaps"},
    ],
)
def test_what_cannot_work_is_refused_with_a_next_step(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as caught:
        check_config({"bucket": "data"} | extra)
    assert caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_the_region_of_an_access_point_goes_before_the_one_of_the_route() -> None:
    config = read_config({"bucket": ARN, "region": "us-east-2"})
    assert (config.own_region, config.style) == ("eu-west-1", "virtual")


def test_an_own_endpoint_gets_path_addresses_and_no_checksum_unless_asked() -> None:
    own = read_config({"bucket": "data", "endpoint_url": "http://minio:9000"})
    assert (own.style, own.checksums) == ("path", "when_required")
    assert read_config({"bucket": "data"}).checksums == "when_supported"
    assert read_config({"bucket": "my.data"}).style == "path"


def test_one_client_serves_all_routes_that_differ_only_in_the_bucket(credentials_file: str) -> None:
    common = {"region": "eu-west-1", "credentials_file": credentials_file}
    first = client_for(read_config({"bucket": "one", **common}))
    assert client_for(read_config({"bucket": "two", "fenced_writes": True, **common})) is first
    assert client_for(read_config({"bucket": "one", **common, "region": "eu-west-2"})) is not first


def test_threads_that_come_first_at_once_share_one_client(credentials_file: str) -> None:
    config = read_config(
        {"bucket": "one", "region": "eu-north-1", "credentials_file": credentials_file}
    )
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(id(client_for(config)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_no_environment_variable_selects_endpoint_region_or_credentials(
    monkeypatch: pytest.MonkeyPatch, credentials_file: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    client = client_for(read_config({"bucket": "one", "credentials_file": credentials_file}))
    assert client.meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"
    url = client.generate_presigned_url("get_object", Params={"Bucket": "one", "Key": "k"})
    assert "AKIDLAB" in url


def test_a_credentials_file_that_is_missing_or_wrong_is_named_but_never_quoted(
    tmp_path: Path,
) -> None:
    wrong = tmp_path / "wrong.ini"
    wrong.write_text("[default]\naws_access_key_id = AKIDLAB\nhunter2 without a key\n")
    for path in (tmp_path / "missing.ini", wrong):
        config = read_config({"bucket": "one", "credentials_file": str(path)})
        with pytest.raises(Misconfigured, match=path.name) as caught:
            client_for(config)
        assert "hunter2" not in str(caught.value)
        assert "AKIDLAB" not in str(caught.value)


def test_a_forked_child_makes_clients_of_its_own(credentials_file: str) -> None:
    config = read_config({"bucket": "one", "credentials_file": credentials_file})
    parents = client_for(config)
    child = os.fork()
    if child == 0:
        os._exit(0 if client_for(config) is not parents else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client_for(config) is parents


def test_the_catalogue_alone_loads_no_sdk() -> None:
    program = (
        "import sys, signalbox.adapters.catalogue, signalbox.adapters.object_store;"
        "sys.exit(any(name in sys.modules for name in ('boto3', 'botocore')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_catalogue_checks_s3_configs_through_this_module() -> None:
    with pytest.raises(InvalidRouteConfig):
        find_backend(ResourceKind.OBJECT_STORE, "s3").check_config({})
