"""The child process that runs suspects, one at a time.

It is started with `python -m`, the name of its worker and its parent's process id. Each line of
standard input is JSON with `ref`, `op` and `token` of one command; a line of standard output says
that it has ended. The process ends with its parent, or after IDLE_SECONDS without a command.
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
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.command_log import configure_logging
from signalbox.workers.runtime import Runtime

log = structlog.get_logger("signalbox.suspects")

IDLE_SECONDS = 30.0
"""How long the process waits for the next command: a start costs about a second of processor time,
and suspects often come several at a time."""


def main() -> None:
    """Run the commands that standard input names until it ends."""
    worker, parent = sys.argv[1], int(sys.argv[2])
    _end_with(parent)
    # The parent alone handles these signals; terminals and supervisors send them to all processes.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints must not be taken for an answer.
    settings = Settings()
    configure_logging(settings)
    app, state = make_app(settings), connect_to(settings)
    name = f"{worker}/apart"
    # Flower knows the worker but not this process.
    task_events = TaskEvents.of(app, worker)
    runtime = Runtime(app, settings, state, name, one_at_a_time=True, task_events=task_events)
    # One failure opens these breakers, since a process that died has forgotten earlier failures.
    executor = replace(runtime.executor, breakers=Breakers(state, name, max_failures=1))
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := _read(requests):
        request = json.loads(line)
        try:
            ticket = Ticket(request["ref"], request["op"])
            executor.execute_suspect(ticket, request["token"], Apart.WATCHED)
        except Exception:
            # As in any worker: nothing is recorded, and the command runs again when its lease
            # expires.
            log.exception("suspect could not be run", ref=request["ref"])
        answers.write(b"over\n")
        answers.flush()
    runtime.close()


def _end_with(parent: int) -> None:
    """Have this process killed when the thread that started it ends, for any reason (on Linux)."""
    with suppress(OSError):
        set_pdeathsig(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # The parent ended before the call above, so no signal will come.


def _read(requests: BinaryIO) -> bytes:
    """Return the next line; empty if the parent has ended or none came within IDLE_SECONDS."""
    if not select.select([requests], [], [], IDLE_SECONDS)[0]:
        return b""
    return requests.readline()


if __name__ == "__main__":
    main()
