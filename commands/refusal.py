"""A message that was refused: what is kept of it, and under which name."""

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
"""Of each part of a refused message so much is kept for whoever looks into it."""
_SHORT = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was refused, and what stood in it, cut."""

    error: SignalboxError
    name: str
    """Under which it is kept: its own id, or one made of its bytes and something unique, so that
    no two of them share a name."""
    document: dict[str, Any]

    def fault(self) -> Fault:
        return Fault(f"-/-/{self.name}", "message", self.document, self.error)


def refusal(error: SignalboxError, raw: bytes, stored: Stored | None = None) -> Refusal:
    """Keep of `raw` what is worth it; `stored` is what could be read of it."""
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
