"""Who can write to the broker can look at workers, and cannot change, end or empty them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker.control import Panel

from signalbox.commands.object_store import HeadObject
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app
from signalbox.workers.celery.remote_control import HARMLESS
from tests.integration.conftest import RunningStack, start_stack, wait_until

DANGEROUS: dict[str, dict[str, Any]] = {
    "revoke": {"task_id": "a", "terminate": True},
    "revoke_by_stamped_headers": {"headers": {"a": "b"}},
    "terminate": {"signal": "KILL", "task_id": "a"},
    "rate_limit": {"task_name": "object_store.head", "rate_limit": "1/h"},
    "time_limit": {"task_name": "object_store.head", "hard": 0.001, "soft": 0.001},
    "election": {"id": "1", "topic": "task", "action": {"task": "object_store.delete"}},
    "hello": {"from_node": "x@y", "revoked": ["a"]},
    "disable_events": {},
    "pool_grow": {"n": 50},
    "pool_shrink": {"n": 3},
    "pool_restart": {},
    "autoscale": {"max": 1, "min": 1},
    "shutdown": {},
    "add_consumer": {"queue": "evil"},
    "cancel_consumer": {"queue": "object_store.0"},
    "objgraph": {},
    "memsample": {},
    "memdump": {},
    "no_such_command": {},
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack"), workers=1) as running:
        yield running


@pytest.fixture
def app(one: RunningStack) -> Celery:
    return make_app(one.settings)


def ask(app: Celery, method: str, **arguments: Any) -> Any:
    """The one worker's answer."""
    answers: list[Any] = []

    def answered() -> bool:
        answers[:] = app.control.broadcast(
            method, arguments=arguments, reply=True, timeout=5, limit=1
        )
        return bool(answers)

    wait_until(answered, f"an answer to {method}")
    [answer] = answers[0].values()
    return answer


def state(app: Celery) -> tuple[Any, ...]:
    stats = ask(app, "stats")
    queues = sorted(queue["name"] for queue in ask(app, "active_queues"))
    return stats["pool"]["max-concurrency"], stats["pid"], queues, ask(app, "revoked")


@pytest.mark.parametrize("method", DANGEROUS)
def test_what_changes_a_worker_has_no_effect_and_is_answered_with_the_reason(
    one: RunningStack, app: Celery, method: str
) -> None:
    before = state(app)
    answer = ask(app, method, **DANGEROUS[method])
    assert "SIGNALBOX_REMOTE_CONTROL" in answer["error"]
    assert state(app) == before
    with one.client() as client:
        client.run_outcome(HeadObject(tenant_id="t_control", env="dev", key="k"))
    assert one.stack.workers[0].running


def test_every_command_of_celery_is_judged() -> None:
    # A later release of Celery may bring others.
    assert {name for name in Panel.data if name not in HARMLESS} <= set(DANGEROUS)


def test_what_flower_and_status_need_is_answered(app: Celery) -> None:
    for method in sorted(HARMLESS - {"query_task", "enable_events", "heartbeat", "dump_conf"}):
        assert "error" not in (ask(app, method) or {}), method
    assert ask(app, "query_task", ids=["a"]) == {}


def test_no_password_is_shown() -> None:
    shown = make_app(Settings(broker_url="redis://:hunter2@127.0.0.1:1/0"))
    asked = SimpleNamespace(app=shown)
    told = json.dumps([Panel.data[name](asked) for name in ("conf", "report")])
    assert "127.0.0.1" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    "item",
    [
        b"x", b"null", b"[]", b"[" * 5000, b'{"body": "e30="}', b"\xff", b'{"properties": []}',
        b'{"body": 1, "properties": {}, "headers": {}}',
        b'{"body": "e30=", "properties": {"body_encoding": "hex"}, "headers": {}}',
    ],
)  # fmt: skip
def test_a_publication_that_cannot_be_read_is_dropped(
    one: RunningStack, app: Celery, item: bytes
) -> None:
    with one.client() as client:
        assert client.state.server().publish("/0.celery.pidbox", item) == 1
    assert ask(app, "ping") == {"ok": "pong"}
    assert one.stack.workers[0].running


@pytest.mark.parametrize(
    "change",
    [
        {"method": ["ping"]},
        {"arguments": [1]},
        {"destination": 5},
        {"reply_to": "x"},
        {"reply_to": {"exchange": "", "routing_key": "object_store.0"}},
        # A regular expression that takes for ever.
        {"pattern": "(.*)*(.*)*(.*)*$x", "matcher": "pcre"},
    ],
)
def test_a_command_of_another_form_is_dropped(
    one: RunningStack, app: Celery, change: dict[str, Any]
) -> None:
    with app.connection_for_write() as connection, connection.Producer() as producer:
        body = {"method": "ping", "arguments": {}} | change
        producer.publish(body, exchange="celery.pidbox", headers={"clock": 10**30})
    assert ask(app, "ping") == {"ok": "pong"}
    assert one.stack.workers[0].running
