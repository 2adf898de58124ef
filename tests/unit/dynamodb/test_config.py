"""The config of a DynamoDB route: what it must name, what it must not hold, what it leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.dynamodb.client import client_for
from signalbox.adapters.dynamodb.config import read_config
from signalbox.adapters.s3.client import client_for as s3_client_for
from signalbox.adapters.s3.config import read_config as read_s3_config
from signalbox.commands.error import InvalidRouteConfig
from signalbox.commands.scope import ResourceKind, Scope

KINDS = [ResourceKind.TABULAR_STORE, ResourceKind.METRICS_STORE, ResourceKind.EVENT_STREAM]
KIND = ResourceKind.TABULAR_STORE
SCOPE = Scope(kind=KIND, tenant_id="t_demo", env="dev")
PLACE = {"table": "storage", "region": "eu-west-1"}


@pytest.fixture
def credentials_file(tmp_path: Path) -> str:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = AKIDLAB\naws_secret_access_key = s3cr3t\n")
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", ["table", "region"])
def test_a_route_without_table_or_region_is_refused_and_says_what_to_set(
    kind: ResourceKind, missing: str
) -> None:
    config = {key: value for key, value in PLACE.items() if key != missing}
    with pytest.raises(InvalidRouteConfig, match=f"no {missing}") as caught:
        find_backend(kind, "dynamodb").check_config(config)
    assert (caught.value.kind, caught.value.backend_type) == (kind, "dynamodb")
    assert f"set `{missing}`" in (caught.value.next_step or "")


@pytest.mark.parametrize("key", ["aws_secret_access_key", "password", "Credentials", "token"])
def test_credentials_in_a_route_are_refused_without_repeating_them(key: str) -> None:
    with pytest.raises(InvalidRouteConfig, match="never stand in a route") as caught:
        read_config(PLACE | {key: "hunter2"}, KIND)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"tabel": "x"},
        {"table": "a/b"},
        {"table": "ab"},
        {"table": "arn:aws:dynamodb:eu-west-1:123456789012:table/storage"},
        {"region": "EU West"},
        {"endpoint_url": "localhost:8000"},
        {"endpoint_url": "https://key:hunter2@localhost:8000"},
        {"role_arn": "admin"},
        {"session_tags": True},
        {"consistent_read": "perhaps"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_a_next_step(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as caught:
        read_config(PLACE | extra, KIND)
    assert caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_reads_are_consistent_unless_the_route_says_otherwise() -> None:
    assert read_config(PLACE, KIND).consistent_read
    assert not read_config(PLACE | {"consistent_read": "false"}, KIND).consistent_read


def test_one_client_serves_all_routes_of_a_region(credentials_file: str) -> None:
    common = {**PLACE, "credentials_file": credentials_file}
    first = client_for(read_config(common, KIND), SCOPE)
    assert client_for(read_config(common | {"table": "other"}, KIND), SCOPE) is first
    assert client_for(read_config(common | {"region": "eu-west-2"}, KIND), SCOPE) is not first


def test_the_client_of_another_service_is_another(credentials_file: str) -> None:
    common = {"region": "eu-west-1", "credentials_file": credentials_file}
    ours = client_for(read_config(common | {"table": "storage"}, KIND), SCOPE)
    theirs = s3_client_for(read_s3_config(common | {"bucket": "storage"}))
    assert ours.meta.service_model.service_name == "dynamodb"
    assert theirs.meta.service_model.service_name == "s3"


def test_no_environment_variable_selects_an_endpoint_or_region(
    monkeypatch: pytest.MonkeyPatch, credentials_file: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://elsewhere:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    config = PLACE | {"region": "eu-central-1", "credentials_file": credentials_file}
    client = client_for(read_config(config, KIND), SCOPE)
    assert client.meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"
