"""Isolation of suspects: commands with which workers died twice run in a child process.

The child runs one suspect at a time and nothing else, so that a suspect which kills or blocks its
process harms no other command. The child claims the suspect itself, since a claim must end with the
process that holds it; if the child dies, its parent reports the death to the ledger.
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

log = structlog.get_logger("signalbox.suspects")

PROCESS = "signalbox.workers.suspects.suspect_process"
"""Module that the child process runs."""
MAX_WAITING = 1000
"""Maximum number of suspects that wait in a process; the reconciler wakes the others again."""
STOP_SECONDS = 4.0
"""Time for the current suspect to end when its worker stops. Celery's soft shutdown has already
used most of the time that a supervisor allows."""
HANGS_AFTER = timedelta(seconds=30)
"""A suspect that runs this long after the end of its lease hangs: its calls end within the
lease."""
BEGINS_WITHIN = timedelta(seconds=60)
"""A child that holds no lease for this time and the length of one hangs, before its claim or after
its finish."""


class SuspectRunner:
    """Runs suspects one after the other in a child process, which is reused while it lives.

    One for each process that runs messages. Thread-safe. Nothing is started before the first
    suspect.
    """

    def __init__(self, ledger: Ledger, worker: str, lease: timedelta) -> None:
        self._ledger = ledger
        self._child = SuspectProcess(worker)
        self._lease = lease
        self._changed = threading.Condition()
        self._waiting: dict[Ticket, None] = {}
        self._stopped = False
        self._thread: threading.Thread | None = None

    def take(self, suspects: Sequence[Ticket]) -> None:
        """Queue suspects to be run.

        Those that this process does not run, because it stops or has enough of them, keep their due
        time in the ledger like every open command.
        """
        with self._changed:
            if self._stopped:
                return
            room = MAX_WAITING - len(self._waiting)
            new = [ticket for ticket in suspects if ticket not in self._waiting]
            self._waiting.update(dict.fromkeys(new[:room]))
            if self._thread is None:
                # The child is killed when the thread that started it ends, so this thread must
                # stay.
                self._thread = threading.Thread(target=self._serve, name="suspects", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Start no other suspect, and wait up to STOP_SECONDS for the current one.

        If it has not ended by then it is killed with this process, which does not count as a death;
        it runs again when its lease expires.
        """
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
                # The ledger wakes it again, and the other suspects must not wait for that.
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
            log.error(
                "the process of a suspect died after it had lost the lease",
                ref=ticket.ref,
                code=code,
            )
        else:
            log.warning("a suspect killed its process", ref=ticket.ref, code=code)

    def _hangs(self, ticket: Ticket, token: str, waited: timedelta) -> bool:
        try:
            left = self._ledger.lease_left(ticket.ref, token)
        except StateUnavailable:
            return False  # The child process waits for the state Redis too.
        if left is None:
            return waited > self._lease + BEGINS_WITHIN
        return left < -HANGS_AFTER


class SuspectProcess:
    """The child process, which runs `suspect_process`. For one thread."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        ticket: Ticket,
        token: str,
        check_every: timedelta,
        hangs: Callable[[Ticket, str, timedelta], bool],
    ) -> int | None:
        """Have the child claim and run one command under `token`.

        Return None, or its exit code if it died. After each `check_every` without an answer,
        `hangs` is called; the child is killed if it returns True. Raises OSError if no process can
        be started.
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
            while not select.select([process.stdout], [], [], check_every.total_seconds())[0]:
                if hangs(ticket, token, timedelta(seconds=time.monotonic() - asked)):
                    log.error("a suspect hangs; its process is killed", ref=ticket.ref)
                    process.kill()
                    break
            if process.stdout.readline():
                return None
            code = self.end()
            if code or not kept:
                return code
            # It was idle for long and ended before it read this request.

    def end(self) -> int:
        """Let the child end when it is idle, and return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(BrokenPipeError), process:
            pass  # closes the pipes and waits
        return process.wait()

    def _start(self) -> subprocess.Popen[str]:
        # A new program and not a fork, which would inherit held locks, and in which clients of some
        # backends hang. Its standard error goes to the worker's log.
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
