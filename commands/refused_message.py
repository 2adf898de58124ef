"""What is kept of a refused message, as a dead letter."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from signalbox.commands.envelope import Stored, is_id
from signalbox.commands.error import SignalboxError
from signalbox.commands.wire import Fault

HELD_BYTES = 16 * 1024
"""Maximum bytes that a dead letter keeps of each part of the message."""
_SHORT = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused message: the reason, and its parts, truncated."""

    error: SignalboxError
    """Why the message was refused."""
    name: str
    """Name of the dead letter: the message's id, or a unique one made from its digest."""
    document: dict[str, Any]
    """The parts of the message, truncated to `HELD_BYTES` each."""

    def fault(self) -> Fault:
        """Return the refusal in the form in which the ledger records it."""
        return Fault(f"-/-/{self.name}", "message", self.document, self.error)


def refusal(error: SignalboxError, raw: bytes, stored: Stored | None = None) -> Refusal:
    """Make the refusal of the message `raw`; `stored` is its parsed envelope, if it has one."""
    digest = hashlib.sha256(raw).hexdigest()
    headers = stored.headers if stored is not None and isinstance(stored.headers, dict) else {}
    document: dict[str, Any] = {"sha256": digest, "bytes": len(raw)}
    if stored is None:
        document["message"] = _text(raw)
    else:
        task = headers.get("task")
        document |= {
            "task": task[:_SHORT] if isinstance(task, str) else None,
            "content_type": str(stored.content_type)[:_SHORT],
            "headers": _json(stored.headers),
            "body": _text(stored.body),
        }
    task_id = headers.get("id")
    name = task_id if is_id(task_id) else f"unnamed-{digest[:16]}-{uuid.uuid4().hex[:12]}"
    return Refusal(error, name, document)


def _text(raw: bytes) -> str:
    return raw[:HELD_BYTES].decode("utf-8", "backslashreplace")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=repr)[:HELD_BYTES]
    except (TypeError, ValueError, RecursionError):
        # A key that is no text, or what refers to itself: not from JSON.
        return repr(type(value))
