"""A message whose commands end in several ways: each key's ends are recorded as accepted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signalbox.adapters.object_store import ObjectStore
from signalbox.commands.error import DeadlineExceeded, Unavailable
from signalbox.commands.ledger.entry import Claims, Intent, Ticket
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import Message
from signalbox.producers.broker.publisher import make_app
from signalbox.routing.route import RouteTarget
from signalbox.workers.execution.message_finish import MessageFinish
from signalbox.workers.execution.pipeline_types import Ended
from signalbox.workers.runtime import Runtime
from tests.integration.conftest import object_scope
from tests.integration.operating import by

OVER = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def worker(state_url: str, tmp_path: Path) -> Iterator[Runtime]:
    """A worker's parts in this process; the wake-ups that it sends go nowhere."""
    state = connect(state_url)
    state.server().flushall()
    settings = Settings(state_url=state_url, payload_dir=tmp_path / "payloads", max_attempts=1)
    app = make_app(settings)
    app.conf.task_always_eager = True
    runtime = Runtime(app, settings, state, worker="w")
    config: RouteConfig = {"base_dir": str(tmp_path / "data")}
    runtime.registry.set(object_scope("t_a"), RouteTarget("filesystem", config, Mode.LAB), by())
    yield runtime
    runtime.close()


def put(key: str, deadline: datetime | None = None) -> PutObject:
    payload = InlinePayload(data=b"x")
    return PutObject(tenant_id="t_a", env="dev", key=key, payload=payload, deadline=deadline)


def message(worker: Runtime, *commands: Command) -> Message:
    worker.ledger.submit([Intent(command, "q") for command in commands])
    return Message([Ticket(command.ref, command.op) for command in commands])


def states(worker: Runtime, *commands: Command) -> list[str]:
    return [r.state if r else "" for r in worker.ledger.records([c.ref for c in commands])]


def test_one_that_may_not_run_ends_between_those_of_its_key_that_do(worker: Runtime) -> None:
    commands = [put("k"), put("k", OVER), put("k"), put("other")]
    assert worker.executor.execute(message(worker, *commands)) == {"done": 3, "dead": 1}
    assert states(worker, *commands) == ["done", "dead", "done", "done"]


def test_one_whose_attempts_are_used_up_ends_before_what_is_behind_it(worker: Runtime) -> None:
    spent, behind = put("k"), put("k")
    tickets = message(worker, spent, behind)
    hasty = worker.settings.model_copy(update={"lease": timedelta(milliseconds=1)})
    gone = type(worker.ledger)(worker.state, hasty)
    gone.claim(tickets.tickets[:1], token=uuid.uuid4().hex, worker="gone")
    ended: dict[str, int] = {}
    while "busy" in (ended := worker.executor.execute(tickets)):
        pass
    assert ended == {"done": 1, "dead": 1}
    assert states(worker, spent, behind) == ["dead", "done"]


def test_one_that_may_not_run_waits_behind_one_that_comes_again(
    worker: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(ObjectStore, "put_many", away)
    monkeypatch.setattr(ObjectStore, "put", away)
    object.__setattr__(worker.settings, "max_attempts", 5)
    commands = [put("k"), put("k", OVER)]
    ended = worker.executor.execute(message(worker, *commands))
    assert ended == {"retry": 1, "release": 1}
    assert states(worker, *commands) == ["queued", "queued"]


def test_an_early_part_names_none_that_stands_behind_what_still_runs(worker: Runtime) -> None:
    slow, over, behind, quick = commands = [put("k"), put("k", OVER), put("k"), put("other")]
    tickets = message(worker, *commands).tickets
    claims = worker.ledger.claim(tickets, token="t", worker="w")
    ends = {item.command.ref: Ended(item, result={}) for item in claims.claimed}
    ends[over.ref] = Ended(ends[over.ref].claimed, error=DeadlineExceeded("over"))

    def finish(claims: Claims, ended: Sequence[Ended]) -> dict[str, int]:
        return worker.executor.completer.finish("t", claims, ended)[1]

    parts = MessageFinish(finish, claims, [ends[over.ref]])
    parts.early([ends[behind.ref], ends[quick.ref]])
    assert states(worker, *commands) == ["running", "running", "running", "done"]
    assert parts.last([ends[slow.ref]]) == {"done": 3, "dead": 1}
    assert states(worker, *commands) == ["done", "dead", "done", "done"]
