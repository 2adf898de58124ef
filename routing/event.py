"""StreamEvents: one fact each about the routes, chained so that none can be lost unseen.

The form is CloudEvents 1.0 (https://github.com/cloudevents/spec): `source` and `id` together are
unique. `hash` is SHA-256 over the canonical JSON of everything else, `prev` among it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    "rebased",  # the registry: a new epoch
    "refused",
]


class EventData(BaseModel):
    """What happened to one subject: by whom, why, from what, to what."""

    model_config = ConfigDict(frozen=True)

    actor: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None = Field(description="For a refusal: what was asked for.")
    error: dict[str, Any] | None = None
    change_id: str


class StreamEvent(BaseModel):
    """One entry of the route log."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str = Field(description="kind/tenant/env, policy/tenant or registry")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    epoch: str = Field(description="Of the registry: another one is another history.")
    revision: int
    prev: str = Field(description="Hash of the event before; empty for the first.")
    data: EventData
    hash: str = ""
    committed_at: datetime | None = Field(
        None, description="By the state Redis' clock; not part of the hash."
    )

    def digest(self) -> str:
        """SHA-256 of the event, without `hash` and `committed_at`; hexadecimal."""
        document = self.model_dump(mode="json", exclude={"hash", "committed_at"})
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def make_event(
    kind: Kind, subject: str, data: EventData, *, epoch: str, revision: int, prev: str
) -> StreamEvent:
    """The event that follows the one whose hash is `prev`."""
    event = StreamEvent(
        id=f"{epoch}/{revision}",
        source=f"signalbox/routes/{epoch}",
        type=TYPE_PREFIX + kind,
        subject=subject,
        time=datetime.now(UTC),
        epoch=epoch,
        revision=revision,
        prev=prev,
        data=data,
    )
    return event.model_copy(update={"hash": event.digest()})


def first_broken(events: Iterable[StreamEvent]) -> StreamEvent | None:
    """The first event that is not what its hash says, or does not follow the one before it.

    The first of `events` is taken as it is where it does not begin the history.
    """
    before: StreamEvent | None = None
    for event in events:
        if event.hash != event.digest():
            return event
        if before is not None and (
            event.prev != before.hash or event.revision != before.revision + 1
        ):
            return event
        before = event
    return None
