"""StreamEvents: the entries of the route log, linked by hashes so that a lost one is detected.

An event has the form of CloudEvents 1.0 (https://github.com/cloudevents/spec): `source` and `id`
together are unique. `hash` is SHA-256 over the canonical JSON of all other fields, including
`prev`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from signalbox.commands.documented import Documented

TYPE_PREFIX = "io.signalbox.route."
Kind = Literal[
    "set",
    "switched",
    "deleted",  # a route
    "locked",
    "lock_renewed",
    "unlocked",
    "lock_forced",  # its strategy lock
    "policy_set",
    "principal_added",
    "principal_granted",
    "principal_rotated",
    "principal_revoked",
    "rebased",  # the registry: a new epoch
    "refused",
]


class EventData(Documented):
    """What changed, from what to what, by whom and why."""

    model_config = ConfigDict(frozen=True)

    actor: str
    """Who made the change or asked for it."""
    reason: str
    """Why, in the actor's words."""
    before: dict[str, Any] | None
    """The route, policy or lock before the change; None if there was none."""
    after: dict[str, Any] | None
    """The route, policy or lock after the change, or for a refusal the one that was requested."""
    error: dict[str, Any] | None = None
    """Why the change was refused, as an ErrorDetail; None if it was made."""
    change_id: str
    """Identifies the change: a repeat with the same id has no further effect."""


class StreamEvent(Documented):
    """One entry of the route log."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    """Version of CloudEvents."""
    id: str
    """`epoch/revision`, unique in its source."""
    source: str
    """`signalbox/routes/` and the epoch."""
    type: str
    """`io.signalbox.route.` and the kind of change."""
    subject: str
    """What changed: `kind/tenant/env`, `policy/tenant`, `principal/name` or `registry`."""
    time: datetime
    """When the writer made the event, by its own clock, in UTC."""
    datacontenttype: Literal["application/json"] = "application/json"
    """Media type of `data`."""
    epoch: str
    """Epoch of the registry; a rebase begins a new one."""
    revision: int
    """Position in the log: 1, 2, 3 and so on, across epochs."""
    prev: str
    """Hash of the previous event; empty for the first."""
    data: EventData
    """The change itself."""
    proof: str | None = Field(None, exclude_if=lambda proof: proof is None)
    """The author's signature (docs/adr/0006-proof.md); None without a trust file."""
    hash: str = ""
    """SHA-256 of all other fields except `committed_at`, as 64 hexadecimal digits."""
    committed_at: datetime | None = None
    """When the state Redis appended the event, by its clock; None until it is read back."""

    def digest(self) -> str:
        """Compute what `hash` should be, as 64 hexadecimal digits."""
        return self._digest("hash", "committed_at")

    def content_digest(self) -> str:
        """Compute the digest of what `proof` signs, as 64 hexadecimal digits."""
        return self._digest("hash", "committed_at", "proof")

    def _digest(self, *without: str) -> str:
        document = self.model_dump(mode="json", exclude=set(without))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def make_event(
    kind: Kind,
    subject: str,
    data: EventData,
    *,
    epoch: str,
    revision: int,
    prev: str,
    at: datetime | None = None,
) -> StreamEvent:
    """Make the event that follows the one whose hash is `prev`, with its own hash filled in.

    It is of now, unless `at` says otherwise.
    """
    event = StreamEvent(
        id=f"{epoch}/{revision}",
        source=f"signalbox/routes/{epoch}",
        type=TYPE_PREFIX + kind,
        subject=subject,
        time=at or datetime.now(UTC),
        epoch=epoch,
        revision=revision,
        prev=prev,
        data=data,
    )
    return event.model_copy(update={"hash": event.digest()})


def parse_event(text: bytes | str) -> StreamEvent | None:
    """Read an event as the log stores it; None if it is malformed."""
    try:
        return StreamEvent.model_validate_json(text)
    except ValidationError:
        return None
