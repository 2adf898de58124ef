"""Dead letters as documents, and the removal of the content that they name."""

from __future__ import annotations

import json
from typing import Any

from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.dead import DeadLetter
from signalbox.commands.parse import load_command
from signalbox.commands.payload import StagedPayload
from signalbox.producers.client.content import ContentStager


def document_of(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as a JSON document, without the content that it would have stored."""
    outcome = letter.outcome
    return {
        "ref": letter.ref,
        "op": letter.op,
        "subject": outcome.subject,
        "can_be_replayed": letter.is_command,
        "attempts": letter.attempts,
        "worker": outcome.worker,
        "claimed_at": outcome.claimed_at.isoformat(),
        "died_at": letter.died_at.isoformat(),
        "backend_type": outcome.backend_type,
        "route_revision": outcome.route_revision,
        "document": _without_content(letter.document),
        "error": outcome.error.model_dump() if outcome.error else None,
    }


def discard(content: ContentStager, letter: DeadLetter) -> None:
    """Remove the staged content of a dead letter."""
    if not letter.is_command:
        return
    try:
        payload = getattr(load_command(letter.op, letter.document), "payload", None)
    except SignalboxError:
        return
    if isinstance(payload, StagedPayload):
        content.remove(payload)


def _without_content(document: str) -> Any:
    """Return the command without the data that it stores, which an operator must not see."""
    try:
        fields = json.loads(document)
    except ValueError:
        return f"({len(document)} characters)"
    if not isinstance(fields, dict):
        return f"({len(document)} characters)"
    hidden = {"data", "points", "event"}
    shown = {name: "(not shown)" if name in hidden else fields[name] for name in fields}
    if isinstance(fields.get("payload"), dict):
        shown["payload"] = {n: v for n, v in fields["payload"].items() if n != "data"}
    return shown
