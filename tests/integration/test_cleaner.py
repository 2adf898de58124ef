"""What crashes left behind is removed, and nothing that is still wanted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.object_store import ObjectStore
from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.shard import USUAL, Shards
from signalbox.commands.ledger.staged import Deployment, staged_refs
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import DirectoryPayloadStore, StagedPayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import Call, State, connect
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.maintenance.cleaner import Cleaner
from tests.integration.operating import by

LONG_AGO = time.time() - 3600


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def settings(state_url: str, tmp_path: Path) -> Settings:
    return Settings(
        state_url=state_url,
        payload_dir=tmp_path / "payloads",
        orphan_grace=timedelta(minutes=10),
    )


def make_old(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def put(payload: StagedPayload, op_id: str = "one") -> PutObject:
    return PutObject(tenant_id="t_a", env="dev", key="k", payload=payload, op_id=op_id)


def test_staged_contents_that_no_command_names_are_removed_once_they_are_old(
    client: State, settings: Settings, tmp_path: Path
) -> None:
    store = DirectoryPayloadStore(tmp_path / "payloads", Deployment(client))
    wanted, orphan = store.stage([b"x" * 10]), store.stage([b"x" * 10])
    (tmp_path / "payloads" / f".stage-{orphan.ref}").touch()
    make_old(tmp_path / "payloads")
    young = store.stage([b"x" * 10])
    Ledger(client, settings).submit([Intent(put(wanted), "q")])
    assert Cleaner(settings, "j").run_once() == (2, 0)
    assert sorted(os.listdir(tmp_path / "payloads")) == sorted([wanted.ref, young.ref])


def test_what_it_did_not_stage_itself_is_left_alone(
    client: State, settings: Settings, tmp_path: Path
) -> None:
    folder, own = tmp_path / "payloads", Deployment(client)()
    DirectoryPayloadStore(folder, lambda: "0" * 12).stage([b"another deployment's"])
    DirectoryPayloadStore(folder).stage([b"of nobody that is known"])
    (folder / "notes.txt").touch()
    (folder / ".stage-half").touch()
    (folder / f"{own}{'0' * 20}").symlink_to(folder / "notes.txt")
    os.mkfifo(folder / f"{own}{'1' * 20}")
    (folder / f"{own}{'2' * 20}").mkdir()
    (folder / f"{own}{'3' * 20}.txt").touch()
    make_old(folder)
    before = sorted(os.listdir(folder))
    assert Cleaner(settings, "j").run_once() == (0, 0)
    assert sorted(os.listdir(folder)) == before


def test_a_replay_between_its_reads_keeps_its_content(
    client: State, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryPayloadStore(tmp_path / "payloads", Deployment(client))
    payload = store.stage([b"x" * 10])
    command = put(payload)
    ledger = Ledger(client, settings)
    ledger.submit([Intent(command, "q")])
    claims = ledger.claim([Ticket(command.ref, command.op)], token="t", worker="w")
    assert claims.claimed
    kill(client, command.ref)
    make_old(tmp_path / "payloads")
    run: Any = State.run
    atomic: Any = State.atomic
    due = f"{Shards(USUAL).of(command.ref)}:due"
    replayed: list[int] = []

    def replay(calls: Sequence[Call]) -> None:
        if not replayed and any(call[:2] == ("ZRANGE", due) for call in calls):
            replayed.append(len(DeadLetters(client, settings).replay([command.ref]).wakes))

    def read(self: State, calls: Sequence[Call], *more: Any, **how: Any) -> Any:
        found = run(self, calls, *more, **how)
        replay(calls)
        return found

    def read_together(self: State, calls: Sequence[Call]) -> Any:
        replay(calls)
        return atomic(self, calls)

    monkeypatch.setattr(State, "run", read)
    monkeypatch.setattr(State, "atomic", read_together)
    assert Cleaner(settings, "j").run_once() == (0, 0)
    assert replayed == [1]
    store.open(payload).close()


def test_a_state_that_was_emptied_meanwhile_is_no_reason_to_remove(
    client: State, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryPayloadStore(tmp_path / "payloads", Deployment(client))
    payload = store.stage([b"x" * 10])
    Ledger(client, settings).submit([Intent(put(payload), "q")])
    make_old(tmp_path / "payloads")

    def emptied(state: State) -> Iterator[str]:
        state.server().flushall()
        return staged_refs(state)

    monkeypatch.setattr("signalbox.workers.maintenance.cleaner.staged_refs", emptied)
    assert Cleaner(settings, "j").run_once() == (0, 0)
    store.open(payload).close()


def test_a_content_that_is_submitted_late_is_young_again(
    client: State, settings: Settings, tmp_path: Path
) -> None:
    store = DirectoryPayloadStore(tmp_path / "payloads", Deployment(client))
    payload = store.stage([b"x" * 10])
    make_old(tmp_path / "payloads")
    own = store.add_owner(payload)
    # Its name is not in the ledger yet.
    assert Cleaner(settings, "j").run_once() == (0, 0)
    assert sorted(os.listdir(tmp_path / "payloads")) == sorted([own.ref, payload.ref])


def kill(client: State, ref: str) -> None:
    """Make a dead letter of it, as a finish does."""
    shard = Shards(USUAL).of(ref)
    outcome = Outcome(
        op_id="one", op="object_store.put", tenant_id="t_a", env="dev", status=Status.FAILED,
        seq=1, attempt=1, worker="w", claimed_at=datetime.now(UTC), duration_ms=0,
    )  # fmt: skip
    client.server().hset(
        f"{shard}:op:{ref}", mapping={"st": "dead", "out": outcome.model_dump_json()}
    )
    client.server().zrem(f"{shard}:due", ref)
    client.server().zadd(f"{shard}:dead", {ref: 0})


def test_files_that_no_row_names_are_removed_from_routed_folders(
    client: State, settings: Settings, tmp_path: Path
) -> None:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
    Registry(client).set(
        scope,
        RouteTarget("filesystem", {"base_dir": str(tmp_path / "base")}, Mode.LAB),
        by("a", "r"),
    )
    folder = tmp_path / "base" / "tenants" / "t_a" / "dev" / "raw"
    folder.mkdir(parents=True)
    left = folder / "left~00000000000000000000000000000000"
    left.touch()
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert Cleaner(settings, "j").run_once() == (0, 1)
    assert not left.exists()


def test_what_it_opens_it_closes(
    client: State, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(client).set(
        Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev"),
        RouteTarget("filesystem", {"base_dir": str(tmp_path / "data")}, Mode.LAB),
        by("test", "test"),
    )
    closed: list[object] = []
    monkeypatch.setattr(ObjectStore, "close", lambda its: closed.append(its))
    Cleaner(settings, "j").run_once()
    assert len(closed) == 1
