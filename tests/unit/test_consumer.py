"""What the consumer does with a message that it cannot hand to a task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.worker import state
from celery.worker.consumer import Consumer

from signalbox.workers.celery.consumer import SteadyConsumer
from signalbox.workers.celery.refused_messages import Burials


class Message:
    def __init__(self) -> None:
        self.ends: list[str] = []

    def reject_log_error(self, *_: Any, requeue: bool) -> None:
        self.ends.append("requeued" if requeue else "rejected")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    kept: list[Any] = []

    def full_pool(_: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(Consumer, "create_task_handler", lambda self: full_pool)
    monkeypatch.setattr(SteadyConsumer, "_keep", lambda self, message, _: kept.append(message))
    return kept


def receive(message: Message) -> None:
    consumer = SteadyConsumer.__new__(SteadyConsumer)
    consumer.connection_errors, consumer.channel_errors = (OSError,), ()
    consumer.create_task_handler()(message)


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
def test_what_comes_while_the_pool_stops_goes_back_to_the_queue(
    kept: list[Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(state, name, 0)  # the exit code
    message = Message()
    receive(message)
    assert (message.ends, kept) == (["requeued"], [])


def test_a_message_that_breaks_a_running_worker_is_kept(kept: list[Any]) -> None:
    message = Message()
    receive(message)
    assert (message.ends, kept) == ([], [message])


def test_events_are_sent_by_the_loop_and_by_no_thread_of_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Consumer, "loop_args", lambda self: ())
    app = Celery(broker="memory://")
    consumer = SteadyConsumer.__new__(SteadyConsumer)
    consumer.hub = SimpleNamespace(call_repeatedly=lambda *_: None)
    consumer.pool = None
    consumer._burials = Burials(lambda _: None, ())
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, buffer_group=["task"])
        consumer.event_dispatcher = dispatcher
        consumer.loop_args()
        flushed: list[int] = []
        monkeypatch.setattr(dispatcher, "flush", lambda: flushed.append(1))
        for _ in range(1000):
            dispatcher.send("task-succeeded", uuid="a")
    assert flushed == []
