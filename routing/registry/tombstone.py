"""Tombstones: what a signed deletion leaves, so that a route's absence can be proven."""

from __future__ import annotations

from pydantic import ConfigDict

from signalbox.commands.documented import Documented
from signalbox.routing.registry.event import StreamEvent


class Tombstone(Documented):
    """The signed deletion of a route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    """`kind/tenant/env` of the route that was deleted."""
    revision: int
    """Revision of the event that deleted it."""
    hash: str
    """Hash of that event."""
    proof: str
    """The signature of who deleted it."""


def tombstone_after(event: StreamEvent) -> Tombstone:
    """Return what a `deleted` event leaves."""
    return Tombstone(
        subject=event.subject,
        revision=event.revision,
        hash=event.hash,
        proof=event.proof or "",
    )
