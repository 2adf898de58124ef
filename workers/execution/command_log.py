"""Logging of a worker: a readable line for each command, and one for many similar successes."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import TextIO, cast

import structlog

from signalbox.commands.error import ProofError
from signalbox.commands.ledger.entry import Action, Finish
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import split_ref
from signalbox.commands.settings import Settings
from signalbox.commands.visible import visible
from signalbox.commands.wire import Fault

log = structlog.get_logger("signalbox.command")

MAX_EACH = 10
"""Up to this many similar successes of a message get a line each; more share one, since lines cost
as much as puts."""


EVENT_WIDTH = 24
"""Width of the event's name in a line, in characters."""
_QUOTED = re.compile(r"[ \t=\r\n\"']")


class Line:
    """Renders a line as structlog's console renderer does without colours, in a third of the time.

    That renderer takes a tenth of the time that a worker spends on a single command.
    """

    def __init__(self) -> None:
        self._whole = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=EVENT_WIDTH)

    def __call__(
        self, logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
    ) -> str:
        if not event.keys().isdisjoint(("stack", "exception", "exc_info", "logger", "logger_name")):
            return self._whole(logger, name, event)
        text = f"{event.pop('event')}"
        parts = [event.pop("timestamp"), f"[{event.pop('level'):<9}]", f"{text:<{EVENT_WIDTH}}"]
        parts += [f"{key}={_shown(event[key])}" for key in sorted(event)]
        return " ".join(parts).rstrip(" ")


def _shown(value: object) -> str:
    return value if isinstance(value, str) and not _QUOTED.search(value) else repr(value)


class _Sink:
    """Standard error. A line that cannot be written is lost.

    A log on a full disk must not end the threads that run commands.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """Write log lines to standard error, as text (`console`) or as JSON (`json`)."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            _show,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(pad_event_to=EVENT_WIDTH)
            if sys.stderr.isatty()
            else Line(),
        ]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Sink())),
        cache_logger_on_first_use=True,
    )
    # Celery and libraries use the standard library's logging; only warnings and errors are shown.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(logging.BASIC_FORMAT))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _show(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters in texts from messages, so that they cannot forge log lines."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = visible(value)
    return event


class _OneLine(logging.Formatter):
    """Formatter that keeps each message on one line; only tracebacks have several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a method of logging.Formatter
        record.message = visible(record.message)
        return super().formatMessage(record)


def log_finishes(finishes: Sequence[Finish], lost: AbstractSet[str]) -> None:
    """Log the ends of a message's commands; `lost` are the refs whose lease another worker held."""
    alike: dict[tuple[object, ...], list[Outcome]] = {}
    for finish in finishes:
        outcome = finish.outcome
        if (
            finish.action is Action.DONE
            and outcome
            and not outcome.error
            and finish.ref not in lost
        ):
            origin = (outcome.tenant_id, outcome.env, outcome.backend_type, outcome.route_revision)
            alike.setdefault((outcome.op, *origin), []).append(outcome)
        else:
            log_finish(finish, lost=finish.ref in lost)
    for outcomes in alike.values():
        if len(outcomes) > MAX_EACH:
            _log_many(outcomes)
        else:
            for outcome in outcomes:
                _log_outcome(outcome, "done")


def log_finish(finish: Finish, *, lost: bool) -> None:
    """Log the end of one command."""
    outcome = finish.outcome
    if outcome is None:
        log.debug("released", ref=finish.ref)
        return
    more: dict[str, object] = {}
    if finish.action is Action.RETRY:
        more["retry_in_s"] = round(finish.delay.total_seconds(), 3)
    _log_outcome(outcome, "lease lost" if lost else finish.action.value, **more)


def log_faults(faults: Sequence[Fault]) -> None:
    """Log each invalid command, at most 20 in ten seconds so that a flood does not fill a disk."""
    for fault in faults:
        over = _flood.count()
        if over is None:
            continue
        more = {"others_unsaid": over} if over else {}
        tenant_id, env, op_id = split_ref(fault.ref)
        names = {"tenant": tenant_id, "env": env, "op_id": op_id}
        error = fault.error
        log.warning(fault.op, status="dead", code=error.code, error=error.message, **names, **more)


def log_unproven(found: Sequence[tuple[Command, ProofError]]) -> None:
    """Log what runs although it is not proven, a line for each tenant, env, op and code."""
    alike: dict[tuple[str, ...], list[ProofError]] = {}
    for command, error in found:
        key = (command.op, error.code, command.tenant_id, command.env)
        alike.setdefault(key, []).append(error)
    for (op, code, tenant_id, env), errors in alike.items():
        over = _flood.count()
        if over is None:
            continue
        more = {"others_unsaid": over} if over else {}
        said = {"code": code, "error": errors[0].message, "commands": len(errors)}
        log.warning(op, status="not proven", tenant=tenant_id, env=env, **said, **more)


class _Flood:
    """Limits the number of lines in a period, and counts the others."""

    MAX_LINES, SECONDS = 20, 10.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began, self._said, self._unsaid = 0.0, 0, 0

    def count(self) -> int | None:
        """Return the number of lines left out before this one.

        None if this one is to be left out.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._began > self.SECONDS:
                self._began, self._said = now, 0
            if self._said >= self.MAX_LINES:
                self._unsaid += 1
                return None
            self._said += 1
            unsaid, self._unsaid = self._unsaid, 0
            return unsaid


_flood = _Flood()


def _log_outcome(outcome: Outcome, status: str, **more: object) -> None:
    fields: dict[str, object] = {
        "status": status,
        "tenant": outcome.tenant_id,
        "env": outcome.env,
        "subject": outcome.subject,
        "backend": outcome.backend_type,
        "revision": outcome.route_revision,
        "attempt": outcome.attempt,
        "ms": outcome.duration_ms,
        "op_id": outcome.op_id,
        "worker": outcome.worker,
        **more,
    }
    if outcome.error is not None:
        log.warning(outcome.op, code=outcome.error.code, error=outcome.error.message, **fields)
    else:
        log.info(outcome.op, **fields)


def _log_many(outcomes: Sequence[Outcome]) -> None:
    first = outcomes[0]
    log.info(
        first.op,
        status="done",
        commands=len(outcomes),
        tenant=first.tenant_id,
        env=first.env,
        backend=first.backend_type,
        revision=first.route_revision,
        ms=max(outcome.duration_ms for outcome in outcomes),
        first_op_id=first.op_id,
        last_op_id=outcomes[-1].op_id,
        worker=first.worker,
    )
    if not log.is_enabled_for(logging.DEBUG):
        return  # else each line that is not written would take as much as the command's outcome
    for outcome in outcomes:
        log.debug(outcome.op, status="done", subject=outcome.subject, op_id=outcome.op_id)
