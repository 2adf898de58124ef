"""The executor in processes forked from this one: each is killed or frozen, and costs no start.

Nothing in the parent opens an adapter: cloud clients do not outlive a fork.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from signalbox.commands import fault
from signalbox.commands.ledger.entry import Ticket
from signalbox.commands.model import Command
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import Message, Ring, queue_of
from signalbox.producers.broker.publisher import make_app
from signalbox.workers.runtime import Runtime

TIMEOUT = 90.0
"""Seconds that a takeover may take."""


def ticket(command: Command) -> Ticket:
    return Ticket(command.ref, command.op)


def forked(job: Callable[[], None]) -> int:
    """The id of a child that does the job, and nothing else of what this process does."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=quiet, cache_logger_on_first_use=False)
        job()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must go no further
        traceback.print_exc()
        os._exit(1)


def answer_of(job: Callable[[], Any], folder: Path) -> Any:
    """What the job returns, as JSON, from a child of its own. Raises RuntimeError."""
    path = folder / "answer.json"
    path.unlink(missing_ok=True)
    child = forked(lambda: void(path.write_text(json.dumps(job()))))
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"a child ended with {status}, see above")
    return json.loads(path.read_text())


def void(_: Any) -> None:
    """Of an expression in a lambda."""


def execute(commands: Sequence[Command], faults: str = "") -> None:
    """What is ready in parcels where the commands are, and these as records, by an executor of
    this process."""
    fault.arm(faults)
    runtime = _runtime()
    for ring in rings(commands, runtime):
        runtime.drains.run(ring)
    runtime.executor.execute(Message([ticket(command) for command in commands]))


def rings(commands: Sequence[Command], runtime: Runtime) -> set[Ring]:
    """Where their parcels are."""
    shards, queues = runtime.ledger.shards, runtime.settings.tenant_shards
    return {
        Ring((shards.shard(command.tenant_id, command.env),), queue_of(command, queues))
        for command in commands
    }


def _runtime() -> Runtime:
    """Of a process that is struck itself, whatever it runs."""
    settings, name = Settings(), f"p{os.getpid()}"
    return Runtime(
        make_app(settings), settings, connect(settings.state_url), name, one_at_a_time=True
    )


def execute_all(commands: Sequence[Command]) -> None:
    """Ask for the commands again and again, as the reconciler does, until all have ended."""
    fault.arm("")
    runtime = _runtime()
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        records = runtime.ledger.records([command.ref for command in commands])
        pending = [
            ticket(command)
            for command, record in zip(commands, records, strict=True)
            if record is None or record.outcome is None
        ]
        if not pending:
            return
        runtime.parcels.open_late(runtime.ledger.due().late)
        counts = runtime.executor.execute(Message(pending[:100]))
        for ring in rings(commands, runtime):
            counts |= runtime.drains.run(ring)
        if not set(counts) - {"busy", "wait", "gone"}:
            time.sleep(0.1)  # until a lease runs out


def wait_frozen(child: int) -> bool:
    """Whether the child stopped; False if it ended instead."""
    _, status = os.waitpid(child, os.WUNTRACED)
    return os.WIFSTOPPED(status)


def wait_killed(child: int) -> bool:
    """Whether SIGKILL ended the child; False if it ended by itself."""
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def thaw(child: int, seconds: float = 60) -> None:
    """Let a frozen child go on, and wait for its end."""
    os.kill(child, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.01)
