"""Runs suspects, commands with which workers died twice, in a child process of a threaded worker.

The child runs one suspect at a time and nothing else, so that a suspect that ends its process harms
no other command, and no other command waits for it. The child itself claims the suspect, since a
claim must end with the process that holds it. If the child dies, its parent reports that to the
ledger.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.entry import Action, Finish, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.workers.execution.state_retry import wait_for_state

log = structlog.get_logger("signalbox.isolation")

PROCESS = "signalbox.workers.isolation.process"
MAX_WAITING = 1000
"""Suspects in the memory of a process; those beyond are woken again by the reconciler."""
STOP_SECONDS = 4.0
"""Within it the suspect in hand may end when its worker stops; Celery's soft shutdown, before it,
has taken most of a supervisor's patience."""
HANGS_AFTER = timedelta(seconds=30)
"""So long after its lease, within which its calls end, a suspect hangs."""
BEGINS_WITHIN = timedelta(seconds=60)
"""A process that holds nothing so long, beside a lease, hangs before its claim or after its end."""


class Isolation:
    """Runs suspects one after the other, in a child process that is kept while it lives.

    One for a process that runs messages. Thread-safe; nothing is started before the first suspect.
    """

    def __init__(self, ledger: Ledger, worker: str, lease: timedelta) -> None:
        self._ledger = ledger
        self._child = Child(worker)
        self._lease = lease
        self._changed = threading.Condition()
        self._waiting: dict[Ticket, None] = {}
        self._stopped = False
        self._thread: threading.Thread | None = None

    def take(self, suspects: Sequence[Ticket]) -> None:
        """Run them when their turn comes. What this process does not come to, since it ends or has
        enough of them, has its due time in the ledger like every open command."""
        with self._changed:
            if self._stopped:
                return
            room = MAX_WAITING - len(self._waiting)
            new = [ticket for ticket in suspects if ticket not in self._waiting]
            self._waiting.update(dict.fromkeys(new[:room]))
            if self._thread is None:
                # A child ends with the thread that started it, so it is one that stays.
                self._thread = threading.Thread(target=self._serve, name="isolation", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more, and wait a moment for what is in hand. What does not end in it is
        ended with this process, which counts as no death, and its lease brings it back."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _serve(self) -> None:
        while (ticket := self._next()) is not None:
            try:
                self._run(ticket)
            except Exception:
                # The ledger wakes it again; the others must not wait for that.
                log.exception("suspect could not be run", ref=ticket.ref)
        self._child.end()

    def _next(self) -> Ticket | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            if self._stopped:
                return None
            ticket = next(iter(self._waiting))
            del self._waiting[ticket]
            return ticket

    def _run(self, ticket: Ticket) -> None:
        token = uuid.uuid4().hex
        code = self._child.run(ticket, token, self._lease + HANGS_AFTER, self._hangs)
        if code is None:
            return
        died = Finish(ticket.ref, token, Action.DIED)
        refused = wait_for_state(lambda: self._ledger.finish(token, [died])).refused
        if refused:
            log.error("a suspect's process ended and did not hold it", ref=ticket.ref, code=code)
        else:
            log.warning("a suspect's process died with it", ref=ticket.ref, code=code)

    def _hangs(self, ticket: Ticket, token: str, waited: timedelta) -> bool:
        try:
            left = self._ledger.lease_left(ticket.ref, token)
        except StateUnavailable:
            return False  # its process waits for the same
        if left is None:
            return waited > self._lease + BEGINS_WITHIN
        return left < -HANGS_AFTER


class Child:
    """A process of `signalbox.workers.isolation.process`. For one thread."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        ticket: Ticket,
        token: str,
        patience: timedelta,
        hangs: Callable[[Ticket, str, timedelta], bool],
    ) -> int | None:
        """Have the command claimed under `token` and run: None, or the code with which the process
        ended. It is ended if it `hangs`, asked each time that there was no answer for so long.
        Raises OSError if none can be started.
        """
        line = json.dumps({"ref": ticket.ref, "op": ticket.op, "token": token}) + "\n"
        while True:
            kept = self._process is not None
            process = self._process = self._process or self._start()
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):
                process.stdin.write(line)
                process.stdin.flush()
            asked = time.monotonic()
            while not select.select([process.stdout], [], [], patience.total_seconds())[0]:
                if hangs(ticket, token, timedelta(seconds=time.monotonic() - asked)):
                    log.error("a suspect hangs, and its process is ended", ref=ticket.ref)
                    process.kill()
                    break
            if process.stdout.readline():
                return None
            code = self.end()
            if code or not kept:
                return code
            # It was idle for long, and ended by itself before it read this.

    def end(self) -> int:
        """Wait for its end, which comes when it has nothing in hand; its code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(BrokenPipeError), process:
            pass  # which closes the pipes, and waits
        return process.wait()

    def _start(self) -> subprocess.Popen[str]:
        # A new program and no fork, which would have the parent's locks, and clients of backends
        # that hang in a fork. What it writes beside its answers goes to the worker's log.
        return subprocess.Popen(  # noqa: S603 - our own module
            [
                sys.executable,
                "-m",
                PROCESS,
                self._worker,
                str(os.getpid()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
