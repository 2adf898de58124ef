"""The RabbitMQ permissions of docs/security.md: what a producer can and cannot do with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import amqp
import pytest

from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app
from tests.absent import absent
from tests.chaos.part import CannotRun
from tests.chaos.rabbit import rabbitmqctl, shared_rabbitmq

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def address() -> str:
    """host:port of a broker with the users and permissions of the page, in the virtual host that no
    other test uses. `rabbitmqctl` starts an Erlang of its own for each of them."""
    try:
        url, folder = shared_rabbitmq()
    except CannotRun as reason:
        absent("RabbitMQ", str(reason))
    for user in ("service", "producer", "worker"):
        rabbitmqctl(url, folder, "add_user", user, "pw")
    for line in re.findall(r"^ {4}rabbitmqctl (.*)$", PAGE.read_text(), re.MULTILINE):
        rabbitmqctl(url, folder, *shlex.split(line))
    return url.rpartition("@")[2].rstrip("/")


def channel_of(address: str, user: str) -> Any:
    connection = amqp.Connection(address, user, "pw", confirm_publish=True)
    connection.connect()
    return connection.channel()


def test_a_producer_sends_and_neither_reads_nor_empties_a_queue(address: str) -> None:
    worker = channel_of(address, "worker")
    for queue in ("object_store.0", "routing.0"):
        worker.queue_declare(queue, durable=True, auto_delete=False)
    for user in ("service", "producer"):
        message = amqp.Message("{}")
        channel_of(address, user).basic_publish(message, exchange="", routing_key="object_store.0")
    found = worker.queue_declare("object_store.0", passive=True)
    assert found.message_count == 2
    attempts: list[Callable[[Any], Any]] = [
        lambda channel: channel.queue_purge("object_store.0"),
        lambda channel: channel.basic_get("object_store.0"),
        lambda channel: channel.queue_declare("routing.0", durable=True, auto_delete=False),
        lambda channel: channel.queue_delete("routing.0"),
        lambda channel: channel.exchange_declare("own", "direct"),
    ]
    for attempt in attempts:
        for user in ("service", "producer"):
            with pytest.raises(amqp.AccessRefused):
                attempt(channel_of(address, user))


def test_our_own_producer_sends_with_the_permissions_of_the_page(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = {}
    for user in ("worker", "producer"):  # workers are there first, and bind the queues
        monkeypatch.setenv("SIGNALBOX_BROKER_URL", f"amqp://{user}:pw@{address}//")
        app = make_app(Settings())
        sends[user] = app.send_task("tabular_store.get", queue="tabular_store.0")
        app.close()
    found = channel_of(address, "worker").queue_declare("tabular_store.0", passive=True)
    assert found.message_count == len(sends)
