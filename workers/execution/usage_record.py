"""Usage: what a finished command adds to the statistics and the health of its scope."""

from __future__ import annotations

from typing import Any

from signalbox.commands.error import (
    BackendResting,
    DeadlineExceeded,
    InsufficientStorage,
    Misconfigured,
    PermissionDenied,
    QuotaError,
    RoutingError,
    SignalboxError,
    Throttled,
    Unavailable,
)
from signalbox.commands.ledger.usage import Usage
from signalbox.commands.routing import ProbeRoute
from signalbox.workers.execution.pipeline_types import Ended

_SICK = (Unavailable, Throttled, PermissionDenied, Misconfigured, InsufficientStorage)
"""Errors that show a problem of the whole backend and not of one command."""
_REFUSED = (RoutingError, QuotaError, DeadlineExceeded)
"""Errors of commands that did not reach their backend."""


def usage_of(item: Ended) -> Usage | None:
    """Return the usage of a command, None if it has no route.

    A refused command counts as a failure and not as a read or write.
    """
    command = item.claimed.command
    if isinstance(command, ProbeRoute) and item.result and command.backend_type is None:
        error = item.result["error"]
        return Usage(scope=command.scope.field, health=error["code"] if error else "ok")
    if item.route is None:
        return None
    scope = item.route.scope.field
    if isinstance(item.error, _REFUSED):
        return Usage(scope, failures=1)
    done = item.error is None
    growth = item.growth
    return Usage(
        scope=scope,
        reads=int(not command.writes),
        writes=int(command.writes),
        failures=int(not done),
        bytes_in=command.size if done and command.writes else 0,
        bytes_out=_content_bytes(item.result),
        objects=growth.objects if growth else 0,
        bytes=growth.bytes if growth else 0,
        health=_health(item.error),
    )


def sickness_of(item: Ended) -> Usage | None:
    """Return the health that an attempt found, for a command that will be retried.

    Its use is counted when it ends. None if the error says nothing about the backend as a whole.
    """
    if item.route is None or not isinstance(item.error, (*_SICK, BackendResting)):
        return None
    if isinstance(item.error, BackendResting):
        # Only a command that was attempted found this out itself.
        return Usage(item.route.scope.field, health=Unavailable.code) if item.tried else None
    return Usage(item.route.scope.field, health=item.error.code)


def _health(error: SignalboxError | None) -> str:
    if error is None:
        return "ok"
    return error.code if isinstance(error, _SICK) else ""


def _content_bytes(result: dict[str, Any] | None) -> int:
    payload = (result or {}).get("payload")
    if not payload:
        return 0
    if "data" in payload:
        text: str = payload["data"]  # base64, with its padding
        return len(text) // 4 * 3 - text[-2:].count("=")
    return int(payload["size"])
