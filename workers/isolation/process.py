"""The process in which suspects run, one at a time.

It is started as `python -m signalbox.workers.isolation.process <worker> <parent>`.

Each line of standard input names one command and the token to claim it under; a line of standard
output tells that its run is over. It ends when its parent does, or when it was idle for long.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

import structlog
from billiard.util import set_pdeathsig  # type: ignore[import-untyped]  # it has no types

from signalbox.commands.ledger.entry import Apart, Ticket
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.broker.publisher import make_app
from signalbox.workers.celery.task_events import TaskEvents
from signalbox.workers.execution.breaker import Breakers
from signalbox.workers.execution.command_log import configure_logging
from signalbox.workers.runtime import Runtime

log = structlog.get_logger("signalbox.isolation")

IDLE_SECONDS = 30.0
"""Suspects seldom come singly, and a start costs about a second of processor time."""


def main() -> None:
    worker, parent = sys.argv[1], int(sys.argv[2])
    _end_with(parent)
    # Its parent's alone to answer: a terminal and a supervisor send these to all processes.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    settings = Settings()
    configure_logging(settings)
    app, state = make_app(settings), connect_to(settings)
    name = f"{worker}/apart"
    # Flower knows the worker, and not this process.
    task_events = TaskEvents.of(app, worker)
    runtime = Runtime(app, settings, state, name, one_at_a_time=True, task_events=task_events)
    # One failure opens these breakers: a process that died has forgotten the ones before.
    executor = replace(runtime.executor, breakers=Breakers(state, name, failures_most=1))
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := _read(requests):
        request = json.loads(line)
        try:
            ticket = Ticket(request["ref"], request["op"])
            executor.execute_suspect(ticket, request["token"], Apart.WATCHED)
        except Exception:
            # As in any worker: nothing is recorded, and the lease brings it back.
            log.exception("suspect could not be run", ref=request["ref"])
        answers.write(b"over\n")
        answers.flush()
    runtime.close()


def _end_with(parent: int) -> None:
    """Be killed when the thread that started this ends, however that happens (on Linux)."""
    with suppress(OSError):
        set_pdeathsig(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended in between, and no signal will come


def _read(requests: BinaryIO) -> bytes:
    """The next line; nothing at the parent's end, or when none came for long."""
    if not select.select([requests], [], [], IDLE_SECONDS)[0]:
        return b""
    return requests.readline()


if __name__ == "__main__":
    main()
