"""Celery task events for each command, so that Flower shows which commands succeeded or failed.

A Celery task runs many commands (`commands.drain`, `commands.batch`) and succeeds whatever their
outcomes are. The worker therefore sends the events of one task for each command, named after its
op. Events never delay or fail a command: a thread sends them, and those that it cannot send in time
are dropped and counted.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery

from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ledger.entry import Action, Finish
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.visible import visible
from signalbox.commands.wire import Fault, known_tasks
from signalbox.workers.execution.pipeline_types import Ended

log = structlog.get_logger("signalbox.worker")

SUCCESSES_A_SECOND = 50
"""Maximum rate of reported successes of a worker, per second; failures and retries are always
reported."""
MAX_WAITING = 10_000
"""Maximum number of ends in memory while the broker is unavailable or slow; the oldest are
dropped."""
SUCCESSES_WAITING = 1_000
"""While this many ends are waiting, successes are left out, to keep room for failures."""
COLLECT_SECONDS = 0.5
"""How long ends are collected before they are sent in one message."""
ENDS_AT_ONCE = 200
"""Maximum number of ends in one message, so that a flood of failures needs little processor time,
here and in Flower."""
AGAIN_SECONDS = 1.0
"""Pause before an unavailable broker is tried again."""
SAY_SECONDS = 60.0
"""Minimum interval between log lines that events were dropped or left out."""
CLOSE_SECONDS = 2.0
"""Maximum time that a worker waits for the last events when it ends."""
MAX_TEXT = 1_500
"""Maximum length of a text in an event, in characters; a key has at most 1,024."""
UNKNOWN = "commands.unknown"
"""Task name for an unknown op: monitoring keeps every name, so names from messages are not passed
on."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of one attempt of a command, in texts that may be shown."""

    type: str
    """Type of the last event, such as `task-succeeded`."""
    name: str
    """The command's op, or UNKNOWN."""
    task_id: str
    """Id of the task in Flower."""
    summary: str
    """Tenant, env, op, subject and op_id."""
    ended: float
    """Seconds since the epoch, by this machine's clock."""
    seconds: float
    """How long the attempt took."""
    attempt: int
    """Number of the attempt, from 1."""
    text: str
    """Result, or error code and message."""
    next_step: str | None = None
    """What to do about the error; None for a success."""

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the events of the task's life, as Celery sends them: type and fields.

        The start time stands in fields of its own: monitoring takes an old timestamp for a wrong
        clock.
        """
        began = self.ended - self.seconds
        head = {"uuid": self.task_id, "timestamp": self.ended}
        yield (
            "task-received",
            head
            | {"name": self.name, "args": "()", "kwargs": self.summary, "received": began}
            | {"retries": max(0, self.attempt - 1), "eta": None, "expires": None},
        )
        yield "task-started", head | {"started": began}
        end = head | {"result": self.text, "runtime": self.seconds}
        if self.type == "task-succeeded":
            # Clears the error of an earlier attempt.
            yield self.type, end | {"exception": None, "traceback": None}
        else:
            # Lists in Flower show results and search them, but not exceptions.
            yield self.type, end | {"exception": self.text, "traceback": self.next_step}


class TaskEvents:
    """Reports the ends of commands as task events. One per process; thread-safe.

    Methods never raise and, except `close`, never wait.
    """

    def __init__(self, app: Celery, worker: str, processes: Callable[[], int] = lambda: 1) -> None:
        """`worker` is the name under which Flower knows the worker.

        The rate of successes is divided by its number of `processes`.
        """
        self._app = app
        self._worker = worker
        self._processes = processes
        self._waiting: deque[_End] = deque(maxlen=MAX_WAITING)
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._room, self._filled = 1.0, time.monotonic() - 1
        self._said: float | None = None
        self.left_out = 0
        """Number of successes that were not reported because of the rate."""
        self.dropped = 0
        """Number of ends that could not be sent in time."""

    @classmethod
    def of(
        cls, app: Celery, worker: str, processes: Callable[[], int] = lambda: 1
    ) -> TaskEvents | None:
        """Make one; None where Celery's settings disable events, and in eager tests."""
        wanted = app.conf.worker_send_task_events and not app.conf.task_always_eager
        return cls(app, worker, processes) if wanted else None

    def tell(
        self, finishes: Sequence[Finish], lost: AbstractSet[str], ended: Sequence[Ended]
    ) -> None:
        """Report the ends of commands.

        `lost` are the refs whose lease another worker held by then.
        """
        try:
            self._tell(finishes, lost, ended)
        except Exception:
            # The ledger has recorded these ends; a failed report must not change that.
            log.exception("ends of commands could not be reported as task events")

    def tell_faults(self, faults: Sequence[Fault]) -> None:
        """Report invalid commands as failed tasks."""
        try:
            self._put([_of_fault(fault) for fault in faults])
        except Exception:
            log.exception("invalid commands could not be reported as task events")

    def close(self) -> None:
        """Send what is waiting; wait at most CLOSE_SECONDS for a broker that is unavailable."""
        self._closed.set()
        self._ready.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _tell(
        self, finishes: Sequence[Finish], lost: AbstractSet[str], ended: Sequence[Ended]
    ) -> None:
        # Every command passes through this loop, and nearly all end in it.
        successes: list[Finish] = []
        told: list[Finish] = []
        for finish in finishes:
            action, outcome = finish.action, finish.outcome
            if outcome is None or (lost and finish.ref in lost):
                continue
            if action is Action.DONE and outcome.error is None:
                successes.append(finish)
            elif action in (Action.DONE, Action.DEAD, Action.REFUSE, Action.RETRY, Action.PARK):
                told.append(finish)
        if successes:
            told += successes[: self._allowed(len(successes))]
        if told:
            commands = {item.claimed.command.ref: item.claimed.command for item in ended}
            self._put([_of_finish(finish, commands.get(finish.ref)) for finish in told])

    def _allowed(self, wanted: int) -> int:
        """Return how many of `wanted` successes may be reported now."""
        rate = SUCCESSES_A_SECOND / max(1, self._processes())
        with self._lock:
            now = time.monotonic()
            self._room = min(max(rate, 1), self._room + (now - self._filled) * rate)
            self._filled = now
            full = len(self._waiting) >= SUCCESSES_WAITING
            allowed = 0 if full else min(wanted, int(self._room))
            self._room -= allowed
            self.left_out += wanted - allowed
        return allowed

    def _put(self, ends: Sequence[_End]) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self.dropped += max(0, len(self._waiting) + len(ends) - MAX_WAITING)
            self._waiting.extend(ends)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="task-events", daemon=True)
                self._thread.start()
            self._ready.set()

    def _serve(self) -> None:
        sender = _Sender(self._app, self._worker)
        ends: list[_End] = []
        while ends or self._wait():
            ends = ends or self._next()
            try:
                sender.send(ends)
                ends = []
            except Exception as error:  # noqa: BLE001 - any broker's client
                sender.close()
                self._say("task events cannot be sent", error=repr(error))
                if self._closed.wait(AGAIN_SECONDS):
                    break
            if self.left_out or self.dropped:
                self._say("some ends were not reported as task events")
        sender.close()

    def _wait(self) -> bool:
        """Wait until some ends were collected; return False when there will be no more."""
        self._ready.wait()
        self._closed.wait(COLLECT_SECONDS)
        return bool(self._waiting) or not self._closed.is_set()

    def _next(self) -> list[_End]:
        with self._lock:
            ends = [self._waiting.popleft() for _ in range(min(ENDS_AT_ONCE, len(self._waiting)))]
            if not self._waiting and not self._closed.is_set():
                self._ready.clear()
        return ends

    def _say(self, event: str, **more: str) -> None:
        now = time.monotonic()
        if self._said is not None and now - self._said < SAY_SECONDS:
            return
        self._said = now
        with self._lock:
            left_out, self.left_out = self.left_out, 0
            dropped, self.dropped = self.dropped, 0
        say = log.warning if dropped or more else log.info
        say(event, successes_left_out=left_out, dropped=dropped, **more)


class _Sender:
    """Connection to the broker for events, opened on first use.

    For one thread; raises any error of the client.
    """

    def __init__(self, app: Celery, worker: str) -> None:
        self._app = app
        self._worker = worker
        self._connection: Any = None
        self._dispatcher: Any = None

    def send(self, ends: Sequence[_End]) -> None:
        """Send the events of all these ends in one message."""
        if self._dispatcher is None:
            self._connection = self._app.connection_for_write()
            # Connect here, where it is tried once: a publish would retry without end.
            self._connection.connect()
            self._dispatcher = self._app.events.Dispatcher(
                self._connection,
                hostname=self._worker,
                buffer_while_offline=False,
                buffer_group={"task"},
                buffer_limit=sys.maxsize,
            )
        for end in ends:
            for kind, fields in end.events():
                self._dispatcher.send(kind, **fields)
        self._dispatcher.flush()

    def close(self) -> None:
        connection, self._connection, self._dispatcher = self._connection, None, None
        if connection is not None:
            with suppress(Exception):  # the connection was lost
                connection.close()


def _of_finish(finish: Finish, command: Command | None) -> _End:
    outcome = finish.outcome
    assert outcome is not None  # noqa: S101 - only ends with an outcome are reported
    seconds = outcome.duration_ms / 1000
    summary = command.summary() if command is not None else _summary(outcome)
    described: dict[str, Any] = {
        "name": outcome.op,
        "task_id": _task_id(finish.ref, outcome.op_id),
        "summary": _shown(summary),
        "ended": time.time(),
        "seconds": seconds,
        "attempt": outcome.attempt,
    }
    if outcome.error is None:
        text = f"done on {outcome.backend_type}, revision {outcome.route_revision}"
        return _End("task-succeeded", **described, text=text if outcome.backend_type else "done")
    retried = finish.action in (Action.RETRY, Action.PARK)
    return _failed("task-retried" if retried else "task-failed", described, outcome.error)


def _of_fault(fault: Fault) -> _End:
    tenant_id, env, op_id = split_ref(fault.ref)
    described: dict[str, Any] = {
        "name": fault.op if fault.op in known_tasks() else UNKNOWN,
        "task_id": _task_id(fault.ref, op_id),
        "summary": _shown(f"{tenant_id}/{env} {fault.op} op_id={op_id}"),
        "ended": time.time(),
        "seconds": 0.0,
        "attempt": 1,
    }
    return _failed("task-failed", described, fault.error.detail())


def _failed(kind: str, described: dict[str, Any], error: ErrorDetail) -> _End:
    text = _shown(f"{error.code}: {error.message}")
    return _End(kind, **described, text=text, next_step=_shown(error.next_step or ""))


def _summary(outcome: Outcome) -> str:
    """Describe a command that could not be read."""
    return f"{outcome.tenant_id}/{outcome.env} {outcome.op} {outcome.subject} op_id={outcome.op_id}"


def _task_id(ref: Ref, op_id: str) -> str:
    """Return the op_id if it is a UUID, else the ref.

    Two tenants may use the same op_id if it is not a UUID, and a task that has succeeded stays so
    in Flower, whatever another task with its id does.
    """
    return op_id if _UUID.match(op_id) else ref


def _shown(text: str) -> str:
    """Return the text without control characters and as valid Unicode: it comes from a message."""
    return visible(text[:MAX_TEXT]).encode("utf-8", "backslashreplace").decode()
