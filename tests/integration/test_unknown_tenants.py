"""Commands that messages bring for invented tenants fill nothing, and nobody real is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.memory import memory_of
from signalbox.commands.ledger import ledger as its
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import ProbeRoute, SetRoute
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import Message, read_message
from signalbox.producers.broker.publisher import make_app
from signalbox.routing.policy.policy import FREE
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.permit import Permits
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.tenant_lookup import tenants_without_records
from signalbox.routing.route import RouteTarget
from signalbox.workers.runtime import Runtime
from tests.integration.command_line import run
from tests.integration.operating import by
from tests.integration.signed_registry import ACME, SignedRegistry, object_scope

TENANTS, TOGETHER = 6000, 50
PLACE: dict[str, Any] = {"env": "dev", "resource_kind": "object_store"}
TARGET: dict[str, Any] = {"backend_type": "filesystem", "config": {"base_dir": "/data"}}


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    state = connect(state_url)
    state.server().flushall()
    yield state
    state.close()


class Worker:
    """A worker's executor on a real Redis; it follows no log, so its cache knows nothing."""

    def __init__(self, state: State, folder: Path, **settings: Any) -> None:
        self.state, self.folder = state, folder
        self.settings = Settings.model_validate({"payload_dir": folder / "payloads"} | settings)
        self.runtime = Runtime(make_app(self.settings), self.settings, state, worker="w")
        self.ledger = self.runtime.ledger

    def carry(self, *commands: Command) -> dict[str, int]:
        """Run a message that brings the commands, as a service without our client sends it."""
        documents = [json.loads(command.model_dump_json()) for command in commands]
        message = read_message("commands.batch", "m", {"commands": documents}, 4)
        assert len(message.carried) == len(commands)
        return self.runtime.executor.execute(message)

    def name(self, command: Command) -> dict[str, int]:
        """Record a command as our client does, and run the message that names it."""
        self.ledger.submit([Intent(command, "object_store.0")])
        return self.runtime.executor.execute(Message([Ticket(command.ref, command.op)]))

    def code(self, command: Command) -> str | None:
        [outcome] = self.ledger.outcomes([command.ref])
        if outcome is None:
            return None
        return outcome.error.code if outcome.error else outcome.status.value

    def is_command(self, command: Command) -> bool:
        """Whether what is kept of it has taken its op_id."""
        letter = DeadLetters(self.state, self.settings).get(command.ref)
        assert letter is not None
        return letter.is_command

    def route(self, tenant: str, env: str = "dev") -> None:
        """Set a route as another process does."""
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env=env)
        target = RouteTarget("filesystem", {"base_dir": str(self.folder / tenant)}, Mode.LAB)
        Registry(self.state).set(scope, target, by())


@pytest.fixture
def worker(state: State, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(state, tmp_path)
    yield worker
    worker.runtime.executor.adapters.close()


def put(tenant: str, key: str = "k", size: int = 1, env: str = "dev") -> PutObject:
    payload = InlinePayload(data=b"x" * size)
    return PutObject(tenant_id=tenant, env=env, key=key, payload=payload)


def letters(worker: Worker, tenant: str | None = None) -> Sequence[str]:
    found = DeadLetters(worker.state, worker.settings).find(Which(tenant_id=tenant))
    return [letter.ref for letter in found]


def test_a_flood_of_invented_tenants_stays_below_the_bound(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A smaller flood has a smaller bound, so that the bound has to hold it back as well.
    monkeypatch.setattr(its, "MAX_FAULT_BYTES", 8 * 1024 * 1024)
    monkeypatch.setattr(its, "MAX_FAULTS", 4000)
    worker.route("t_real")
    real = put("t_real")
    assert worker.carry(real) == {"done": 1}
    kept = put("t_real", env="unrouted")
    assert worker.carry(kept) == {"dead": 1}
    accepted, before = worker.ledger.totals()["accepted"], memory_of(worker.state.server())
    for start in range(0, TENANTS, TOGETHER):
        numbers = range(start, start + TOGETHER)
        assert worker.carry(*[put(f"t_invented{n}", size=1500) for n in numbers]) == {}
    totals = worker.ledger.totals()
    grown = memory_of(worker.state.server()) - before
    print(f"{TENANTS} commands of as many tenants: +{grown / 1e6:.1f} MB, {totals}")  # noqa: T201
    assert grown < its.MAX_FAULT_BYTES
    assert totals["accepted"] == accepted
    assert totals["dropped"] == TENANTS - (totals["dead_letters"] - 1)
    assert totals["dropped"] > TENANTS / 4
    assert letters(worker, "t_real") == [kept.ref]
    # Besides what is kept as evidence nothing knows these tenants.
    shards = worker.ledger.shards.tags
    for name in ("due", "open", "holds", "lines"):
        for shard in shards:
            assert not any("t_invented" in row for row in entries(worker.state, f"{shard}:{name}"))


def entries(state: State, key: str) -> list[str]:
    kind = state.call("TYPE", key)
    calls = {b"zset": ("ZRANGE", key, 0, -1), b"hash": ("HKEYS", key), b"set": ("SMEMBERS", key)}
    return [row.decode() for row in state.call(*calls[kind])] if kind in calls else []


def test_a_refused_command_takes_no_op_id_and_runs_when_it_is_sent_again(worker: Worker) -> None:
    command = put("t_new")
    assert worker.carry(command) == {}
    assert worker.code(command) == "ROUTE_NOT_FOUND"
    assert not worker.is_command(command)
    worker.route("t_new")
    assert worker.carry(command) == {"done": 1}
    assert worker.code(command) == "done"
    assert letters(worker) == []


def test_an_operator_sees_tenant_kind_and_what_to_do(worker: Worker, state_url: str) -> None:
    command = put("t_new")
    worker.carry(command)
    listed = run("dead", "ls", SIGNALBOX_STATE_URL=state_url).stdout.decode()
    assert "t_new/dev/" in listed
    assert "ROUTE_NOT_FOUND" in listed
    output = run("dead", "show", command.ref, SIGNALBOX_STATE_URL=state_url).stdout
    shown = " ".join(output.decode().split())
    assert "No route configured for object_store in t_new/dev" in shown
    assert "signalbox routes set object_store <backend> -t t_new -e dev" in shown
    assert "sent again, under the same op_id" in shown


def test_a_tenant_whose_route_was_set_a_moment_before_is_not_refused(worker: Worker) -> None:
    for number in range(20):
        command = put(f"t_new{number}")
        assert worker.carry(command) == {}, "the worker has looked, and has found nothing"
        worker.route(command.tenant_id)
        assert worker.carry(command) == {"done": 1}


def test_a_tenant_with_anything_in_the_registry_is_known(worker: Worker) -> None:
    worker.route("t_elsewhere", env="other")
    Registry(worker.state).policies.set("t_terms", FREE, by())
    worker.route("t_before")
    Registry(worker.state).delete(put("t_before").scope, by())
    known = [put(tenant) for tenant in ("t_elsewhere", "t_terms", "t_before")]
    # Neither is one whose name begins, or ends, a known one.
    unknown = [put("t_else"), put("t_elsewhere0"), put("t_term"), put("t_termsx")]
    assert worker.carry(*known, *unknown) == {"dead": len(known)}
    assert {worker.code(command) for command in [*known, *unknown]} == {"ROUTE_NOT_FOUND"}
    assert all(worker.is_command(command) for command in known)
    assert not any(worker.is_command(command) for command in unknown)


def test_what_a_client_submitted_is_kept_as_a_command(worker: Worker) -> None:
    command = put("t_new")
    assert worker.name(command) == {"dead": 1}
    assert worker.is_command(command)
    # Also where the same, and another one of its name, come in a message.
    worker.carry(command)
    worker.carry(command.model_copy(update={"key": "other"}))
    assert worker.is_command(command)
    worker.route("t_new")
    replayed = DeadLetters(worker.state, worker.settings).replay([command.ref])
    tickets = [wake.ticket for wake in replayed.wakes]
    assert worker.runtime.executor.execute(Message(tickets)) == {"done": 1}


def test_nothing_is_left_of_an_env_whose_dead_letters_are_purged(worker: Worker) -> None:
    """Envs of a known tenant can be made up as well."""
    worker.route("t_real")
    commands = [put("t_real", key, env="made-up") for key in ("a", "b")]
    assert worker.carry(*commands) == {"dead": 2}
    DeadLetters(worker.state, worker.settings).purge([command.ref for command in commands])
    server: Any = worker.state.server()
    for key in server.scan_iter():
        assert b"made-up" not in key
        if server.type(key) == b"hash":
            assert not [name for name in server.hkeys(key) if b"made-up" in name], key


def test_nobody_is_refused_by_a_registry_that_lost_changes(worker: Worker) -> None:
    command = put("t_real")
    worker.route("t_real")
    assert worker.carry(put("t_real", "first")) == {"done": 1}
    worker.runtime.executor.unknown_tenants._known.clear()  # type: ignore[union-attr]
    worker.state.call("DEL", *(key for key in worker.state.scan(f"{TAG}:*")))
    assert worker.carry(command) == {"release": 1}
    [record] = worker.ledger.records([command.ref])
    assert record is not None
    assert record.state == "queued"


def test_changes_of_routes_for_invented_tenants_are_within_the_bound_too(worker: Worker) -> None:
    change = SetRoute(tenant_id="t_new", actor="a", reason="r", **PLACE, **TARGET)
    probe = ProbeRoute.model_validate({"tenant_id": "t_new"} | PLACE)
    allowed = ProbeRoute.model_validate({"tenant_id": "t_new"} | PLACE)
    Permits(worker.state).give([allowed])
    worker.carry(change, probe, allowed)
    assert worker.code(change) == worker.code(probe) == "CONTROL_REFUSED"
    assert not worker.is_command(change)
    assert not worker.is_command(probe)
    assert worker.code(allowed) == "ROUTE_NOT_FOUND"
    assert letters(worker, "t_new") == [change.ref, probe.ref], "a permitted probe is run"


def test_a_worker_that_takes_changes_takes_the_first_of_a_tenant(
    state: State, tmp_path: Path
) -> None:
    worker = Worker(state, tmp_path, control_commands="take")
    change = SetRoute(tenant_id="t_new", actor="a", reason="r", **PLACE, **TARGET)
    assert worker.carry(change) == {"done": 1}


def test_where_changes_are_signed_absence_is_proven(state: State, tmp_path: Path) -> None:
    signed = SignedRegistry(state, tmp_path)
    signed.begin()
    reader = signed.by(None)
    nobody = object_scope("t_nobody")
    assert tenants_without_records(reader, [ACME, nobody], None) == {"t_nobody"}
    # Who writes to the state cannot have a tenant forgotten by what is not signed.
    state.call("HDEL", f"{TAG}:fence", ACME.field)
    state.call("DEL", f"{TAG}:index:object_store")
    assert tenants_without_records(reader, [ACME, nobody], None) == {"t_nobody"}
    state.call("HDEL", f"{TAG}:routes", ACME.field)
    assert tenants_without_records(reader, [ACME, nobody], None) == {"t_nobody"}
