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
class _Lane:
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
        self._lanes: dict[str, _Lane] = {}
        self._pid = os.getpid()

    def submit(self, command: Command) -> Submission:
        """Submit one command. Raises the errors of `submit`, only those that concern it."""
        shard, call = self._shard_of(command), _Call(command, _taken())
        with self._lock:
            if self._pid != os.getpid():
                # The threads whose round trips were under way are not in a forked child.
                self._lanes, self._pid = {}, os.getpid()
            lane = self._lanes.get(shard)
            if lane is None:
                lane = self._lanes[shard] = _Lane()
            lane.waiting.append(call)
            if not lane.busy:
                call.leads = lane.busy = True
        if not call.leads:
            self._wait(lane, call)
        if not call.ended:
            self._lead(lane, call)
        if call.error is not None:
            raise call.error
        if call.submission is None:
            [call.submission] = self._submit([command])
        return call.submission

    def _wait(self, lane: _Lane, call: _Call) -> None:
        try:
            call.turn.acquire()
        except BaseException:  # such as KeyboardInterrupt; the others must not wait for this thread
            with self._lock:
                if call in lane.waiting:
                    lane.waiting.remove(call)
                if call.leads:
                    self._pass_on(lane)
            raise

    def _lead(self, lane: _Lane, own: _Call) -> None:
        """Submit `own` and all that wait behind it, and let one of the next ones lead."""
        calls: list[_Call] = []
        try:
            if len(lane.waiting) == 1 and time.monotonic() < lane.crowded_until:
                time.sleep(COMPANY_SECONDS)
            with self._lock:
                calls, lane.waiting = lane.waiting[: self._limit], lane.waiting[self._limit :]
            submissions = self._submit([call.command for call in calls])
            for call, submission in zip(calls, submissions, strict=True):
                call.submission = submission
        except StateUnavailable as error:
            # Those that came meanwhile have waited as long, and would only find the same.
            with self._lock:
                calls, lane.waiting = calls + lane.waiting, []
            for call in calls:
                call.error = copy(error)  # each is raised in its own thread
        except Exception:
            # Of one of them, unknown which: each thread finds out about its own. What the ledger
            # has accepted by now is not accepted twice.
            if len(calls) == 1:
                raise
        finally:
            if len(calls) > 1:
                lane.crowded_until = time.monotonic() + CROWDED_SECONDS
            for call in calls:
                call.ended = True
                call.turn.release()
            with self._lock:
                if lane.waiting and lane.waiting[0] is own:  # interrupted before it was taken
                    del lane.waiting[0]
                self._pass_on(lane)

    def _pass_on(self, lane: _Lane) -> None:
        lane.busy = bool(lane.waiting)
        if lane.busy:
            lane.waiting[0].leads = True
            lane.waiting[0].turn.release()
