"""Our transports check what comes off the queue: an app of ours uses them, whatever came before.

A service's own Celery app in the same process does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from kombu import Connection
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app

url, before = sys.argv[1:]
if before == "after-another":
    Connection(url).transport
with make_app(Settings(broker_url=url)).connection_for_read() as connection:
    print(type(connection.transport).__module__)
"""
THEIRS = """
import sys
from amqp import method_framing
from celery import Celery
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app

def made_by(app):
    # What keeps the messages: kombu's channels on Redis, its connections on RabbitMQ.
    with app.connection_for_read() as connection:
        transport = connection.transport
        return getattr(transport, "Channel", None) or transport.Connection

url = sys.argv[1]
ours, theirs = make_app(Settings(broker_url=url)), Celery("service", broker=url)
print(made_by(ours).__module__, made_by(theirs).__module__, method_framing.Message.__module__)
"""


@pytest.mark.parametrize("before", ["alone", "after-another"])
@pytest.mark.parametrize(
    ("url", "module"),
    [
        ("redis://127.0.0.1:1/0", "redis_transport"),
        ("rediss://127.0.0.1:1/0", "redis_transport"),
        ("amqp://127.0.0.1:1//", "rabbit_transport"),
        ("amqps://127.0.0.1:1//", "rabbit_transport"),
    ],
)
def test_an_app_of_ours_reads_by_our_transport(url: str, module: str, before: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, before], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"signalbox.producers.broker.{module}"


@pytest.mark.parametrize(
    ("url", "ours", "theirs"),
    [
        ("redis://127.0.0.1:1/0", "redis_transport", "redis"),
        ("rediss://127.0.0.1:1/0", "redis_transport", "redis"),
        ("amqp://127.0.0.1:1//", "rabbit_transport", "pyamqp"),
        ("amqps://127.0.0.1:1//", "rabbit_transport", "pyamqp"),
    ],
)
def test_a_services_own_app_keeps_kombus_transport(url: str, ours: str, theirs: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THEIRS, url], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        f"signalbox.producers.broker.{ours}",
        f"kombu.transport.{theirs}",
        "amqp.basic_message",
    ]
