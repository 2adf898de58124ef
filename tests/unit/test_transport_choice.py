"""Our transports check what comes off the queue: an app of ours uses them, whatever came before."""

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
