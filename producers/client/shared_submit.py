"""Shared submits: commands that threads submit singly at the same time take one round trip."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field

from signalbox.commands.error import StateUnavailable
from signalbox.commands.model import Command
from signalbox.producers.client.submission import Submission

Submit = Callable[[Sequence[Command]], list[Submission]]

COMPANY_SECONDS = 0.0002
"""How long the first of several busy threads waits for the others."""
CROWDED_SECONDS = 0.001
"""How long after a round of several threads these are expected again."""


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Call:
    """One thread's command."""

    command: Command
    turn: threading.Lock
    """Released when the call has ended, or when its thread is to submit."""
    leads: bool = False
    """Whether its thread is to submit, for all that wait."""
    ended: bool = False
    submission: Submission | None = None
    """None if it has to be submitted again, alone."""
    error: StateUnavailable | None = None


@dataclass(slots=True)
class _Queue:
    """The calls of one shard."""

    busy: bool = False
    """Whether a thread leads: it submits, or is about to."""
    waiting: list[_Call] = field(default_factory=list)
    crowded_until: float = 0.0
    """Time of the monotonic clock until when those of the last round are expected again."""


class SharedSubmit:
    """Submits single commands for several threads. Thread-safe.

    A thread that is alone submits its command at once. Commands that others hand over during its
    round trip wait for its end; then one of these threads submits them together. So busy threads
    share parcels, round trips and syncs of the disk. Only the first one after such a round waits,
    for COMPANY_SECONDS, since the others of that round are about to come again.

    Only commands of one shard share a round trip, so a server that is away delays no others.
    """

    def __init__(self, submit: Submit, shard_of: Callable[[Command], str], limit: int) -> None:
        """`submit` takes up to `limit` commands of one shard."""
        self._submit = submit
        self._shard_of = shard_of
        self._limit = limit
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}
        self._pid = os.getpid()

    def submit(self, command: Command) -> Submission:
        """Submit one command. Raises the errors of `submit`, only those that concern it."""
        shard, call = self._shard_of(command), _Call(command, _taken())
        with self._lock:
            if self._pid != os.getpid():
                # The threads whose round trips were under way are not in a forked child.
                self._queues, self._pid = {}, os.getpid()
            queue = self._queues.get(shard)
            if queue is None:
                queue = self._queues[shard] = _Queue()
            queue.waiting.append(call)
            if not queue.busy:
                call.leads = queue.busy = True
        if not call.leads:
            self._wait(queue, call)
        if not call.ended:
            self._lead(queue, call)
        if call.error is not None:
            raise call.error
        if call.submission is None:
            [call.submission] = self._submit([command])
        return call.submission

    def _wait(self, queue: _Queue, call: _Call) -> None:
        try:
            call.turn.acquire()
        except BaseException:  # such as KeyboardInterrupt; the others must not wait for this thread
            with self._lock:
                if call in queue.waiting:
                    queue.waiting.remove(call)
                if call.leads:
                    self._pass_on(queue)
            raise

    def _lead(self, queue: _Queue, own: _Call) -> None:
        """Submit `own` and all that wait behind it, and let one of the next ones lead."""
        calls: list[_Call] = []
        try:
            if len(queue.waiting) == 1 and time.monotonic() < queue.crowded_until:
                time.sleep(COMPANY_SECONDS)
            with self._lock:
                calls, queue.waiting = queue.waiting[: self._limit], queue.waiting[self._limit :]
            submissions = self._submit([call.command for call in calls])
            for call, submission in zip(calls, submissions, strict=True):
                call.submission = submission
        except StateUnavailable as error:
            # Those that came meanwhile have waited as long, and would only find the same.
            with self._lock:
                calls, queue.waiting = calls + queue.waiting, []
            for call in calls:
                call.error = copy(error)  # each is raised in its own thread
        except Exception:
            # Of one of them, unknown which: each thread finds out about its own. What the ledger
            # has accepted by now is not accepted twice.
            if len(calls) == 1:
                raise
        finally:
            if len(calls) > 1:
                queue.crowded_until = time.monotonic() + CROWDED_SECONDS
            for call in calls:
                call.ended = True
                call.turn.release()
            with self._lock:
                if queue.waiting and queue.waiting[0] is own:  # interrupted before it was taken
                    del queue.waiting[0]
                self._pass_on(queue)

    def _pass_on(self, queue: _Queue) -> None:
        queue.busy = bool(queue.waiting)
        if queue.busy:
            queue.waiting[0].leads = True
            queue.waiting[0].turn.release()
