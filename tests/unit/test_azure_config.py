"""The config of routes to Azure: checked without a call, and never with a secret in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.azure_blob.client import client_for
from signalbox.adapters.azure_blob.config import read_config
from signalbox.commands.error import InvalidRouteConfig, Misconfigured

ACCOUNT = "https://acme.blob.core.windows.net"
GOOD = {"account_url": ACCOUNT, "container": "data"}


@pytest.mark.parametrize(
    ("url", "account"), [(ACCOUNT, "acme"), ("http://127.0.0.1:10000/devstore/", "devstore")]
)
def test_the_account_is_in_its_address(url: str, account: str) -> None:
    config = GOOD | {"account_url": url, "account_key_file": "/key"}
    assert read_config(config).account == account


@pytest.mark.parametrize(
    "wrong",
    [
        {"container": ""},
        {"container": "A"},
        {"container": "a--b"},
        {"account_url": "acme"},
        {"account_url": f"{ACCOUNT}?sig=x"},
        {"account_key_file": "/a", "sas_file": "/b"},
        {"account_key_file": "/a", "connection_string_file": "/b"},
        {"account_url": "http://127.0.0.1:10000/devstore"},
        {"prefix": "tenants"},
        {"prefix": "a/b"},
        {"prefix": "a."},
        {"colour": "green"},
    ],
)
def test_a_config_that_cannot_be_is_refused_with_the_next_step(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as refused:
        read_config(GOOD | wrong)
    assert refused.value.next_step


@pytest.mark.parametrize("key", ["account_key", "connection_string", "sas", "AccountKey", "token"])
def test_credentials_in_a_route_are_refused_without_repeating_them(key: str) -> None:
    with pytest.raises(InvalidRouteConfig, match="never stand in a route") as refused:
        read_config(GOOD | {key: "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_client_is_shared_until_its_key_changes(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("a2V5")
    config = read_config(GOOD | {"account_key_file": str(key_file)})
    first = client_for(config)
    other = read_config(GOOD | {"account_key_file": str(key_file), "container": "other"})
    assert client_for(other) is first
    key_file.write_text("bmV3")
    os.utime(key_file, (1, 1))
    assert client_for(config) is not first


@pytest.mark.parametrize("content", ["", "two\nlines", "not base64", "ü", None])
def test_a_key_file_that_is_none_is_misconfigured(tmp_path: Path, content: str | None) -> None:
    key_file = tmp_path / "key"
    if content is not None:
        key_file.write_text(content)
    with pytest.raises(Misconfigured) as refused:
        client_for(read_config(GOOD | {"account_key_file": str(key_file)}))
    assert refused.value.next_step
