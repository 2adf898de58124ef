"""Our transports check what comes off the queue: an app of ours uses them, whatever came before.

A service's own Celery app in the same process does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
from amqp import method_framing
from celery import Celery
from kombu import Connection
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app

def ours(url, before):
    if before == "after-another":
        Connection(url).transport
    with make_app(Settings(broker_url=url)).connection_for_read() as connection:
        return [type(connection.transport).__module__]

def theirs(url):
    apps = [make_app(Settings(broker_url=url)), Celery("service", broker=url)]
    return [*(made_by(app).__module__ for app in apps), method_framing.Message.__module__]

def made_by(app):
    # What keeps the messages: kombu's channels on Redis, its connections on RabbitMQ.
    with app.connection_for_read() as connection:
        transport = connection.transport
        return getattr(transport, "Channel", None) or transport.Connection

for name, *arguments in json.loads(sys.argv[1]):
    if os.fork() == 0:
        print(json.dumps([[name, *arguments], globals()[name](*arguments)]), flush=True)
        os._exit(0)
    os.wait()
"""
URLS = {
    "redis://127.0.0.1:1/0": ("redis_transport", "redis"),
    "rediss://127.0.0.1:1/0": ("redis_transport", "redis"),
    "amqp://127.0.0.1:1//": ("rabbit_transport", "pyamqp"),
    "amqps://127.0.0.1:1//": ("rabbit_transport", "pyamqp"),
}
BEFORE = ("alone", "after-another")
Answers = dict[tuple[str, ...], list[str]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Each case is a fork of one process, which has imported everything and has made nothing."""
    cases = [
        *(("ours", url, before) for url in URLS for before in BEFORE),
        *(("theirs", url) for url in URLS),
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(cases)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {tuple(case): answer for case, answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("url", URLS)
def test_an_app_of_ours_reads_by_our_transport(url: str, before: str, answers: Answers) -> None:
    assert answers["ours", url, before] == [f"signalbox.producers.broker.{URLS[url][0]}"]


@pytest.mark.parametrize("url", URLS)
def test_a_services_own_app_keeps_kombus_transport(url: str, answers: Answers) -> None:
    ours, theirs = URLS[url]
    assert answers["theirs", url] == [
        f"signalbox.producers.broker.{ours}",
        f"kombu.transport.{theirs}",
        "amqp.basic_message",
    ]
