"""Reads commands from JSON: from a message, or from the ledger."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

# Imported for what they register: the commands that can be read.
import signalbox.commands.event_stream
import signalbox.commands.metrics_store
import signalbox.commands.object_store
import signalbox.commands.routing
import signalbox.commands.tabular_store  # noqa: F401
from signalbox.commands.error import (
    InvalidCommand,
    SignalboxError,
    UnknownCommand,
    UnsupportedVersion,
    reason_of,
)
from signalbox.commands.model import MODELS, SCHEMA_VERSION, Command


def known_ops() -> dict[str, type[Command]]:
    """Return every command class by its `op`."""
    return MODELS


def parse_command(document: Any, *, default_op_id: str | None = None) -> Command:
    """Build a command from a parsed JSON document; `default_op_id` is used if it has no op_id.

    Raises UnsupportedVersion, UnknownCommand and InvalidCommand, which name tenant and env if those
    can be read, and InvalidKey or InvalidScope.
    """
    if not isinstance(document, dict):
        raise InvalidCommand(
            f"a command is a JSON object, not {type(document).__name__}",
            next_step="see docs/wire-contract.md",
        )
    location = {
        name: value[:80]
        for name in ("tenant_id", "env")
        if isinstance(value := document.get(name), str)
    }
    version, op = document.get("v", SCHEMA_VERSION), document.get("op")
    if version != SCHEMA_VERSION:
        raise UnsupportedVersion(
            f"schema version {version!r} is not known; this Signalbox speaks {SCHEMA_VERSION}",
            next_step="upgrade the workers first, or send the older version",
            **location,
        )
    model = known_ops().get(op) if isinstance(op, str) else None
    if model is None:
        raise UnknownCommand(
            f"unknown command {str(op)[:80]!r}",
            next_step=f"use one of: {', '.join(sorted(known_ops()))}",
            **location,
        )
    if default_op_id is not None and "op_id" not in document:
        document = document | {"op_id": default_op_id}
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise invalid_command(error, **location) from None
    except SignalboxError as error:
        raise error.at(**location) from None


def load_command(op: str, text: bytes | str) -> Command:
    """Build a command from its `op` and its JSON text, as the ledger stores them.

    Raises UnknownCommand or InvalidCommand if another release wrote a command that this one cannot
    read.
    """
    model = known_ops().get(op)
    if model is None:
        raise UnknownCommand(f"unknown command {op!r}", next_step="upgrade this worker")
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise invalid_command(error) from None


def invalid_command(error: ValidationError, **location: str) -> InvalidCommand:
    """Return the first error of a failed validation as InvalidCommand, without quoting content."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "command"
    return InvalidCommand(
        f"{where}: {reason_of(first)}",
        next_step="see the JSON Schema that `signalbox schema` prints",
        **location,
    )
