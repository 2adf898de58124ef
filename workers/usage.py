"""What a finished command adds to its scope's use."""

from __future__ import annotations

from typing import Any

from commands.error import (
    InsufficientStorage,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Throttled,
    Unavailable,
)
from commands.ledger.usage import Usage
from commands.routing import ProbeRoute
from workers.stage import Ended

_SICK = (Unavailable, Throttled, PermissionDenied, Misconfigured, InsufficientStorage)
"""Errors of a backend as a whole, not of one command."""


def usage_of(item: Ended) -> Usage | None:
    """None for a command that never came to a backend, or comes again."""
    command = item.claimed.command
    if isinstance(command, ProbeRoute) and item.result and command.backend_type is None:
        error = item.result["error"]
        return Usage(scope=command.scope.field, health=error["code"] if error else "ok")
    if item.route is None or (item.error is not None and item.error.waits):
        return None
    done = item.error is None
    growth = item.growth
    return Usage(
        scope=item.route.scope.field,
        reads=int(not command.writes),
        writes=int(command.writes),
        failures=int(not done),
        bytes_in=command.size if done and command.writes else 0,
        bytes_out=_content_bytes(item.result),
        objects=growth.objects if growth else 0,
        bytes=growth.bytes if growth else 0,
        health=_health(item.error),
    )


def _health(error: SignalboxError | None) -> str:
    if error is None:
        return "ok"
    return error.code if isinstance(error, _SICK) else ""


def _content_bytes(result: dict[str, Any] | None) -> int:
    payload = (result or {}).get("payload")
    return int(payload["size"]) if payload and "size" in payload else 0
