"""What crashes left behind is removed, and nothing that is still wanted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from commands.ledger.entry import Intent
from commands.ledger.ledger import Ledger
from commands.model import new_op_id
from commands.object_store import PutObject
from commands.payload import DirectoryPayloadStore
from commands.scope import Mode, ResourceKind, Scope
from commands.settings import Settings
from commands.state import connect
from routing.registry import Registry
from workers.janitor import Janitor

LONG_AGO = time.time() - 3600


@pytest.fixture
def client(state_url: str) -> Iterator[redis.Redis]:
    client = connect(state_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def settings(state_url: str, tmp_path: Path) -> Settings:
    return Settings(
        state_url=state_url,
        payload_dir=tmp_path / "payloads",
        orphan_grace=timedelta(minutes=10),
    )


def test_staged_contents_that_no_command_names_are_removed_once_they_are_old(
    client: redis.Redis, settings: Settings, tmp_path: Path
) -> None:
    store = DirectoryPayloadStore(tmp_path / "payloads")
    wanted, orphan, young = (store.stage([b"x" * 10]) for _ in range(3))
    for payload in (wanted, orphan):
        os.utime(tmp_path / "payloads" / payload.ref, (LONG_AGO, LONG_AGO))
    half = tmp_path / "payloads" / ".stage-half"
    half.touch()
    os.utime(half, (LONG_AGO, LONG_AGO))
    command = PutObject(tenant_id="t_a", env="dev", key="k", payload=wanted)
    Ledger(client, settings).submit([Intent(command, "q")])
    assert Janitor(settings, "j").turn() == (2, 0)
    assert sorted(os.listdir(tmp_path / "payloads")) == sorted([wanted.ref, young.ref])


def test_files_that_no_row_names_are_removed_from_routed_folders(
    client: redis.Redis, settings: Settings, tmp_path: Path
) -> None:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
    Registry(client).set(
        scope,
        "filesystem",
        {"base_dir": str(tmp_path / "base")},
        mode=Mode.LAB,
        actor="a",
        reason="r",
        change_id=new_op_id(),
    )
    folder = tmp_path / "base" / "tenants" / "t_a" / "dev" / "raw"
    folder.mkdir(parents=True)
    left = folder / "left~00000000000000000000000000000000"
    left.touch()
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert Janitor(settings, "j").turn() == (0, 1)
    assert not left.exists()
