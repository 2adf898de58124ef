"""A writer whose lease ends between its own question and the send refuses itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl

import pytest
from azure.storage.blob import BlobServiceClient, UserDelegationKey

from signalbox.adapters.azure_blob.client import client_for
from signalbox.adapters.azure_blob.config import read_config
from signalbox.adapters.azure_blob.expiry import bounded
from signalbox.adapters.azure_blob.signature import KEY_LIFE, signer_for
from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.payload import DirectoryPayloadStore
from tests.unit.azure_stand_in import stand_in


class Lapsing(Call):
    """A lease that has run out when it is asked for a second time."""

    def remaining(self) -> float:
        left = super().remaining()
        object.__setattr__(self, "deadline", 0.0)
        return left


def test_nothing_is_sent_when_the_lease_ends_before_the_first_byte(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("aHVudGVyMg==")
    with stand_in() as server:
        config = {"account_url": server.url, "container": "data", "account_key_file": str(key_file)}
        blob = client_for(read_config(config)).get_blob_client("data", "a")
        call = Lapsing("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))
        with pytest.raises(LeaseExpired), bounded(call, blob) as bounds:
            blob.upload_blob(b"late", **bounds)
        assert server.came == []


def test_routes_are_fenced_unless_they_say_otherwise() -> None:
    config = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
    assert read_config(config).fenced_writes
    assert not read_config(config | {"fenced_writes": False}).fenced_writes


class Lender:
    """A client of a worker's own identity, which is lent a key each time it asks."""

    def __init__(self) -> None:
        self.lent: list[datetime] = []

    def get_user_delegation_key(self, begins: datetime, ends: datetime, **_: object) -> object:
        self.lent.append(ends)
        key = UserDelegationKey()  # type: ignore[no-untyped-call]
        key.signed_oid, key.signed_tid = "worker", "tenant"
        key.signed_start, key.signed_expiry = begins.isoformat(), ends.isoformat()
        key.signed_service, key.signed_version = "b", "2024-11-04"
        key.value = "aHVudGVyMg=="
        return key


def test_an_identity_signs_with_a_key_that_it_is_lent_once_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
    lender, now = Lender(), 100.0
    monkeypatch.setattr("signalbox.adapters.azure_blob.signature.time.monotonic", lambda: now)
    sign = signer_for(read_config(config), cast(BlobServiceClient, lender))
    assert sign is not None
    field = dict(parse_qsl(sign("data", "a", 1_700_000_000)))
    assert (field["se"], field["skoid"]) == ("2023-11-14T22:13:20Z", "worker")
    assert set(field["sp"]) == set("cwd")
    sign("data", "b", 1_700_000_000)
    assert len(lender.lent) == 1
    now += KEY_LIFE.total_seconds()
    sign("data", "b", 1_700_000_000)
    assert len(lender.lent) == 2


def test_credentials_that_can_sign_none_are_told_apart(tmp_path: Path) -> None:
    config = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
    sas_file = tmp_path / "sas"
    sas_file.write_text("sv=1&sig=x")
    for more in ({"sas_file": str(sas_file)}, {"weaker_fences": "accept"}):
        assert signer_for(read_config(config | more), cast(BlobServiceClient, Lender())) is None
