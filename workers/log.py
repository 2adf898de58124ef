"""One readable line per command, with names instead of content."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from commands.ledger.entry import Action, Finish
from commands.settings import Settings

log = structlog.get_logger("signalbox.command")


class _Sink:
    """Standard error. A line that cannot be written is lost, and nothing else: a log on a full
    disk must not end the threads that run commands or wake them."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """Write log lines to standard error, for people (`console`) or for machines (`json`)."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Sink())),
        cache_logger_on_first_use=True,
    )
    # Celery and the libraries speak through the standard library: warnings and worse.
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=True)


def log_finish(finish: Finish, *, lost: bool) -> None:
    """The line of one command's end."""
    outcome = finish.outcome
    if outcome is None:
        log.debug("released", ref=finish.ref)
        return
    fields: dict[str, object] = {
        "status": "lease lost" if lost else finish.action.value,
        "tenant": outcome.tenant_id,
        "env": outcome.env,
        "subject": outcome.subject,
        "backend": outcome.backend_type,
        "revision": outcome.route_revision,
        "attempt": outcome.attempt,
        "ms": outcome.duration_ms,
        "op_id": outcome.op_id,
        "worker": outcome.worker,
    }
    if finish.action is Action.RETRY:
        fields["retry_in_s"] = round(finish.delay.total_seconds(), 3)
    if outcome.error is not None:
        log.warning(outcome.op, code=outcome.error.code, error=outcome.error.message, **fields)
    else:
        log.info(outcome.op, **fields)
