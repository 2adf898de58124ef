"""What a worker tells Flower holds and fails no command, and is bounded."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from signalbox.commands.error import NotFound, Unavailable
from signalbox.commands.ledger.entry import Action, Finish, Intent
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import Message
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.policy.policy import FREE
from signalbox.workers.celery import task_events
from signalbox.workers.celery.task_events import MAX_WAITING, SUCCESSES_A_SECOND, TaskEvents
from signalbox.workers.runtime import Runtime
from tests.conftest import need_redis
from tests.integration.conftest import wait_until
from tests.integration.operating import by

ENDS = {"task-succeeded", "task-failed", "task-retried"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    need_redis()
    # Of a port that nobody else takes while it is stopped.
    server = RedisServer(tmp_path / "broker", free_port(0))
    server.start()
    yield server
    server.stop()


@contextmanager
def telling(server: RedisServer) -> Iterator[TaskEvents]:
    events = TaskEvents(make_app(Settings(broker_url=server.url)), "w1@here")
    yield events
    events.close()


class Watcher:
    """Hears what Flower hears, until it has seen the end of `last`."""

    def __init__(self, broker_url: str, last: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._last = last
        self._hears = threading.Event()
        self._app = Celery(broker=broker_url)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()
        assert self._hears.wait(60)

    def ends(self) -> list[dict[str, Any]]:
        self._thread.join(120)
        assert not self._thread.is_alive(), "the last command was never told"
        return [event for event in self.events if event["type"] in ENDS]

    def _hear(self) -> None:
        with self._app.connection_for_read() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self._take})
            with receiver.consumer_context() as (its, _channel, _consumers):
                self._hears.set()
                while not receiver.should_stop:
                    try:
                        its.drain_events(timeout=1)
                    except TimeoutError:
                        continue
                    if any(e["uuid"] == self._last and e["type"] in ENDS for e in self.events):
                        return

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"].startswith("task-"):
            self.events.append(event)


def end(action: Action = Action.DONE, op_id: str | None = None) -> Finish:
    op_id = op_id or new_op_id()
    error = None if action is Action.DONE else NotFound("none", next_step="look").detail()
    outcome = Outcome(
        op_id=op_id,
        op="object_store.put",
        tenant_id="t_a",
        env="dev",
        subject=f"key-{op_id}",
        status=Status.FAILED if error else Status.DONE,
        error=error,
        seq=1,
        attempt=1,
        worker="w1@here",
        claimed_at=datetime.now(UTC),
        duration_ms=2_000.0,
    )
    return Finish(f"t_a/dev/{op_id}", "token", action, outcome)


def tell(events: TaskEvents, finishes: Sequence[Finish], lost: set[str] | None = None) -> None:
    events.tell(finishes, lost or set(), [])


def test_a_flood_of_successes_stays_under_the_rate_while_all_failures_come(
    broker: RedisServer,
) -> None:
    last = new_op_id()
    watcher = Watcher(broker.url, last)
    with telling(broker) as events:
        began = time.monotonic()
        failures: list[Finish] = []
        for number in range(100):
            failed = [end(Action.DEAD), end(Action.RETRY)]
            failures += failed
            tell(events, [end() for _ in range(100)] + failed)
            if number % 10 == 0:
                time.sleep(0.02)  # so that the rate matters, and not its first second alone
        tell(events, [end(Action.DEAD, last)])
        seconds = time.monotonic() - began
        ends = watcher.ends()
    counts = Counter(event["type"] for event in ends)
    assert counts["task-failed"] == 101
    assert counts["task-retried"] == 100
    assert 1 <= counts["task-succeeded"] <= SUCCESSES_A_SECOND * (seconds + 1)
    assert events.left_out + counts["task-succeeded"] <= 10_000
    assert {f.outcome.op_id for f in failures if f.outcome} <= {event["uuid"] for event in ends}


def test_the_events_of_a_command_are_those_of_a_task(broker: RedisServer) -> None:
    op_id = new_op_id()
    watcher = Watcher(broker.url, op_id)
    with telling(broker) as events:
        tell(events, [end(Action.RETRY, op_id), end(Action.DONE)], {f"t_a/dev/{op_id}"})
        tell(events, [end(Action.PACE), end(Action.RELEASE), end(Action.DEAD, op_id)])
        watcher.ends()
    told = [event for event in watcher.events if event["uuid"] == op_id]
    assert [event["type"] for event in told] == ["task-received", "task-started", "task-failed"]
    received, started, failed = told
    assert {event["hostname"] for event in told} == {"w1@here"}
    assert received["name"] == "object_store.put"
    assert received["kwargs"] == f"t_a/dev object_store.put key-{op_id} op_id={op_id}"
    assert failed["exception"] == "NOT_FOUND: none"
    assert failed["traceback"] == "look"
    assert failed["runtime"] == 2.0
    assert received["received"] == started["started"] == failed["timestamp"] - 2.0
    # One that succeeded beside it; what waits, and what another worker has, was not told.
    assert len({event["uuid"] for event in watcher.events}) == 2


def test_a_broker_that_is_away_holds_nothing_and_hears_the_newest_when_it_is_back(
    broker: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_events, "SAY_SECONDS", 3600.0)
    with telling(broker) as events:
        first = new_op_id()
        watcher = Watcher(broker.url, first)
        tell(events, [end(Action.DEAD, first)])
        watcher.ends()
        broker.stop()
        for _ in range(0, MAX_WAITING, 100):
            tell(events, [end(Action.DEAD) for _ in range(100)])
        more = [end(Action.DEAD) for _ in range(500)]
        tell(events, [*more, end()])

        assert events.dropped >= 500 - task_events.ENDS_AT_ONCE
        assert events.left_out == 1, "a success leaves the room to failures"
        broker.start()
        last = new_op_id()
        watcher = Watcher(broker.url, last)
        tell(events, [end(Action.DEAD, last)])
        told = {event["uuid"] for event in watcher.ends()}
        assert {f.outcome.op_id for f in more if f.outcome} <= told


def test_a_worker_whose_broker_is_away_runs_commands_and_ends_soon(
    broker: RedisServer, state_url: str, tmp_path: Path
) -> None:
    broker.stop()
    state = connect(state_url)
    state.server().flushall()
    settings = Settings(
        state_url=state_url, broker_url=broker.url, payload_dir=tmp_path, max_attempts=1
    )
    app = make_app(settings)
    events = TaskEvents.of(app, "w1")
    assert events is not None
    runtime = Runtime(app, settings, state, worker="w1", task_events=events)
    runtime.registry.policies.set("t_a", FREE, by())  # the tenant is known
    payload = InlinePayload(data=b"x")
    commands = [
        PutObject(tenant_id="t_a", env="dev", key=f"{n}", payload=payload) for n in range(9)
    ]
    carried = [Intent(command, "object_store.0") for command in commands]
    assert runtime.executor.execute(Message(carried=carried)) == {"dead": 9}
    wait_until(lambda: events._said is not None, "the broker was tried")
    closer = threading.Thread(target=runtime.close)
    closer.start()
    closer.join(60)
    assert not closer.is_alive()
    tell(events, [end(Action.DEAD)])
    assert not events._waiting, "after the end nothing is noted any more"


def test_nothing_is_told_where_events_are_switched_off_and_in_eager_tests() -> None:
    for setting in ({"worker_send_task_events": False}, {"task_always_eager": True}):
        app = make_app(Settings())
        app.conf.update(setting)
        assert TaskEvents.of(app, "w1") is None


def test_the_processes_of_a_pool_share_the_rate(broker: RedisServer) -> None:
    events = TaskEvents(make_app(Settings(broker_url=broker.url)), "w1", lambda: 10)
    events._room, events._filled = 1e9, time.monotonic()
    assert events._allowed(1_000) == SUCCESSES_A_SECOND // 10


def test_an_end_that_cannot_be_described_fails_nothing(
    broker: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("no")

    monkeypatch.setattr(task_events, "_of_finish", fail)
    with telling(broker) as events:
        tell(events, [end(Action.DEAD)])
        monkeypatch.undo()
        last = new_op_id()
        watcher = Watcher(broker.url, last)
        tell(events, [end(Action.DEAD, last)])
        assert [event["uuid"] for event in watcher.ends()] == [last]
