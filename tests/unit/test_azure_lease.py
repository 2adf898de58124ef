"""A writer whose lease ends between its own question and the send refuses itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.azure_blob.client import client_for
from adapters.azure_blob.config import read_config
from adapters.azure_blob.lease import leased
from adapters.port import Call
from commands.clock import lease_clock
from commands.error import LeaseExpired
from commands.payload import DirectoryPayloadStore
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
        place = {"account_url": server.url, "container": "data", "account_key_file": str(key_file)}
        blob = client_for(read_config(place)).get_blob_client("data", "a")
        call = Lapsing("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))
        with pytest.raises(LeaseExpired), leased(call, blob) as bounds:
            blob.upload_blob(b"late", **bounds)
        assert server.came == []


def test_routes_are_fenced_unless_they_say_otherwise() -> None:
    place = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
    assert read_config(place).fenced_writes
    assert not read_config(place | {"fenced_writes": False}).fenced_writes
