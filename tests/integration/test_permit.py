"""Control commands and appends to reserved streams need leave that no producer can give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from signalbox.commands.error import IntegrityMismatch, ReservedStream
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.routing import (
    DeleteRoute,
    LockRoute,
    ProbeRoute,
    RouteConfig,
    SetRoute,
    SwitchRoute,
    UnlockRoute,
)
from signalbox.commands.scope import Mode, ResourceKind
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import Message, read_message
from signalbox.producers.archive import ARCHIVE_SCOPE, ARCHIVE_STREAM, archived_events, archiving
from signalbox.producers.cli import audit
from signalbox.producers.cli.audit import _tell_foreign
from signalbox.producers.client.client import Client
from signalbox.routing.registry.event import EventData, StreamEvent, make_event
from signalbox.routing.registry.permit import Permits, is_reserved
from signalbox.routing.route import RouteTarget
from signalbox.workers.app import app
from signalbox.workers.runtime import Runtime, install
from tests.integration.operating import by

SCOPE_FIELDS: dict[str, Any] = {"tenant_id": "t_a", "env": "dev", "resource_kind": "object_store"}
WHO = {"actor": "an operator, it says", "reason": "r"}
TARGET = {"backend_type": "filesystem", "config": {"base_dir": "/data"}}
CHANGES: list[Command] = [
    SetRoute.model_validate(SCOPE_FIELDS | WHO | TARGET),
    SwitchRoute.model_validate(SCOPE_FIELDS | WHO | TARGET),
    DeleteRoute.model_validate(SCOPE_FIELDS | WHO),
    LockRoute.model_validate(SCOPE_FIELDS | WHO | {"ttl": 60}),
    UnlockRoute.model_validate(SCOPE_FIELDS | WHO | {"force": True}),
]


class EagerWorker:
    """An eager worker and a client, on one Redis of their own."""

    def __init__(self, folder: Path, state: State, control: str = "refuse") -> None:
        self.state = state
        settings = Settings.model_validate(
            {"payload_dir": folder / "payloads", "control_commands": control}
        )
        app.conf.task_always_eager = True
        self.runtime = Runtime(app, settings, self.state, worker="eager")
        install(self.runtime)
        self.client = Client(settings, app=app, state=self.state)
        self.registry = self.runtime.registry

    def carry(self, command: Command) -> Outcome:
        """As a message that holds the whole command, under any task name and on any queue."""
        document = json.loads(command.model_dump_json())
        self.runtime.executor.execute(
            read_message("commands.batch", "m", {"commands": [document]}, 4)
        )
        return self._outcome(command)

    def enter(self, command: Command) -> Outcome:
        """As a producer may that can write the ledger: past our client."""
        self.runtime.ledger.submit([Intent(command, "object_store.0")])
        self.runtime.executor.execute(Message([Ticket(command.ref, command.op)]))
        return self._outcome(command)

    def _outcome(self, command: Command) -> Outcome:
        [outcome] = self.runtime.ledger.outcomes([command.ref])
        assert outcome is not None
        return outcome

    def state_of(self, command: Command) -> str:
        [record] = self.runtime.ledger.records([command.ref])
        assert record is not None
        return record.state

    def archive_to(self, folder: Path) -> None:
        self.registry.set(
            ARCHIVE_SCOPE,
            RouteTarget("filesystem", {"base_dir": str(folder)}, Mode.LAB),
            by("a", "r", "archive"),
        )


def end() -> None:
    install(None)
    app.conf.task_always_eager = False


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def eager(tmp_path: Path, state: State) -> Iterator[EagerWorker]:
    yield EagerWorker(tmp_path, state)
    end()


@pytest.fixture
def taking(tmp_path: Path, state: State) -> Iterator[EagerWorker]:
    yield EagerWorker(tmp_path, state, "take")
    end()


@pytest.mark.parametrize("way", ["carry", "enter"])
@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command.op)
def test_a_route_change_from_the_queue_changes_nothing(
    eager: EagerWorker, command: Command, way: str
) -> None:
    outcome = getattr(eager, way)(command)
    assert outcome.error is not None
    assert outcome.error.code == "CONTROL_REFUSED"
    assert "SIGNALBOX_CONTROL_COMMANDS" in str(outcome.error.next_step)
    assert eager.state_of(command) == "dead"
    assert eager.registry.events(0) == []


def test_an_operator_may_have_a_worker_take_them(taking: EagerWorker) -> None:
    assert taking.carry(CHANGES[0]).error is None
    assert taking.registry.get(CHANGES[0].scope) is not None


@pytest.mark.parametrize("way", ["carry", "enter"])
def test_a_probe_without_leave_touches_nothing(
    eager: EagerWorker, tmp_path: Path, way: str
) -> None:
    target = tmp_path / "probed"
    probe = ProbeRoute.model_validate(
        SCOPE_FIELDS | {"backend_type": "filesystem", "config": {"base_dir": str(target)}}
    )
    outcome = getattr(eager, way)(probe)
    assert outcome.error is not None
    assert outcome.error.code == "CONTROL_REFUSED"
    assert eager.state_of(probe) == "dead"
    assert not target.exists()


def test_leave_is_for_one_probe_as_it_was_asked_for(eager: EagerWorker, tmp_path: Path) -> None:
    def probe(name: str) -> ProbeRoute:
        config = {"backend_type": "filesystem", "config": {"base_dir": str(tmp_path / name)}}
        return ProbeRoute.model_validate(SCOPE_FIELDS | config | {"op_id": "one"})

    Permits(eager.state).give([probe("asked")])
    refused = eager.carry(probe("other"))
    assert refused.error is not None
    assert refused.error.code == "CONTROL_REFUSED"
    assert not (tmp_path / "other").exists()


def test_the_clients_own_probe_runs(eager: EagerWorker, tmp_path: Path) -> None:
    from signalbox.producers.diagnosis import probe

    config: RouteConfig = {"base_dir": str(tmp_path / "probed")}
    scope = CHANGES[0].scope
    assert scope.kind is ResourceKind.OBJECT_STORE
    found = probe(eager.client, scope, Mode.LAB, 60, "filesystem", config)
    assert found.healthy


def test_a_probe_of_what_no_route_may_reach_ends_before_it(eager: EagerWorker) -> None:
    probe = ProbeRoute.model_validate(
        SCOPE_FIELDS | {"backend_type": "filesystem", "config": {"base_dir": "/etc"}}
    )
    Permits(eager.state).give([probe])
    outcome = eager.enter(probe)
    assert outcome.error is not None
    assert outcome.error.code == "PLACE_FORBIDDEN"


def stranger(**more: Any) -> AppendEvent:
    return AppendEvent(
        tenant_id=ARCHIVE_SCOPE.tenant_id,
        env=ARCHIVE_SCOPE.env,
        stream=ARCHIVE_STREAM,
        event=Event(type="x", data=more),
    )


def own_event() -> StreamEvent:
    data = EventData(actor="a", reason="r", before=None, after=None, change_id="c")
    return make_event("rebased", "registry", data, epoch="e", revision=1, prev="")


def test_the_client_submits_no_append_to_the_archive_and_all_the_others(
    eager: EagerWorker, tmp_path: Path
) -> None:
    eager.archive_to(tmp_path / "archive")
    other = stranger().model_copy(update={"stream": "mine", "op_id": "mine"})
    first, refused, last = eager.client.submit_many([other, stranger(), stranger_of("t_b")])
    assert first.accepted
    assert last.accepted
    assert not refused.accepted
    with pytest.raises(ReservedStream, match=r"signalbox\.route-events"):
        refused.raise_if_refused()
    with pytest.raises(ReservedStream):
        eager.client.submit(stranger())


def stranger_of(tenant: str) -> AppendEvent:
    return stranger().model_copy(update={"tenant_id": tenant, "op_id": f"of-{tenant}"})


@pytest.mark.parametrize("way", ["carry", "enter"])
def test_a_worker_appends_nothing_foreign_to_the_archive(
    eager: EagerWorker, tmp_path: Path, way: str
) -> None:
    eager.archive_to(tmp_path / "archive")
    command = stranger()
    outcome = getattr(eager, way)(command)
    assert outcome.error is not None
    assert outcome.error.code == "RESERVED_STREAM"
    assert eager.state_of(command) == "dead"
    # Nor what looks like the archiver's own.
    [forged] = archiving([own_event()], Mode.LAB)
    assert is_reserved(forged)
    assert getattr(eager, way)(forged).error is not None
    assert list(archived_events(eager.client, _tell_foreign)) == []


def test_what_a_stranger_left_in_an_archive_is_named_and_the_rest_is_read(
    eager: EagerWorker, tmp_path: Path
) -> None:
    eager.archive_to(tmp_path / "archive")
    [own] = archiving([own_event()], Mode.LAB)
    appends = [stranger(), stranger(event=1), stranger(event="{}"), own]
    copied = own.event.data["event"]
    appends.append(stranger(event=copied))
    # As it could get there before streams were reserved, or past Signalbox.
    Permits(eager.state).give(appends)
    for outcome in eager.client.wait(eager.client.submit_many(appends)):
        assert outcome is not None
        outcome.unwrap()
    foreign: list[int] = []
    assert [event.revision for event in archived_events(eager.client, foreign.append)] == [1]
    assert foreign == [1, 2, 3, 5]


def test_audit_verify_names_what_is_foreign_in_a_whole_archive(
    eager: EagerWorker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    eager.archive_to(tmp_path / "archive")
    appends = [stranger(), *archiving(eager.registry.events(0), Mode.LAB), stranger()]
    Permits(eager.state).give(appends)
    for outcome in eager.client.wait(eager.client.submit_many(appends)):
        assert outcome is not None
        outcome.unwrap()
    monkeypatch.setattr(audit, "make_client", lambda: eager.client)
    monkeypatch.setattr(audit, "make_registry", lambda: eager.registry)
    with pytest.raises(IntegrityMismatch, match=r"2 entries .* versions 1, 3; .*whole up to"):
        audit.verify(archive=True, as_json=False)
    with pytest.raises(typer.Exit):
        audit.verify(archive=True, as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["foreign"] == [1, 3]
