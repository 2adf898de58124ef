"""The roster: all principals in one record, so that none can be left out or put back alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.proof.principal import Name, Principal
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.route import fence_of

ROSTER = "principals"
"""The roster's key, behind the registry's hash tag, and its field among the fences."""
ROSTER_FIELD = "all"
"""Field of that key."""
PRINCIPAL_PREFIX = "principal/"
"""Prefix of the `subject` of a principal's events."""
MAX_PRINCIPALS = 1000
"""Maximum number of principals, those that were revoked included."""


class Roster(Documented):
    """All principals, as an administrator last signed them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    principals: dict[Name, Principal] = Field(default_factory=dict, max_length=MAX_PRINCIPALS)
    """The principals by name, also those that were revoked."""
    epoch: str = ""
    """Epoch of the registry in which it was set."""
    revision: int = 0
    """Revision of the event that set it; 0 for the empty one of a registry without principals."""
    hash: str = ""
    """Hash of that event."""
    updated_at: datetime | None = None
    """When it was set."""
    updated_by: str = ""
    """Who set it."""
    reason: str = ""
    """Why, in their words."""
    proof: str | None = None
    """The administrator's signature."""

    @property
    def subject(self) -> str:
        """What its signature is about, beside the principal that changed."""
        return ROSTER

    @property
    def fence(self) -> str:
        """The fence of this version of the roster."""
        return fence_of(self.revision, self.hash)

    @cached_property
    def by_kid(self) -> Mapping[str, Principal]:
        """The principal of each key, by the key's id."""
        return {key.public.kid: each for each in self.principals.values() for key in each.keys}


EMPTY = Roster()
"""The roster of a registry without principals: administrators alone can sign."""


def principal_subject(name: str) -> str:
    """Return the `subject` of a principal's events: `principal/name`."""
    return PRINCIPAL_PREFIX + name


def roster_after(before: Roster, principal: Principal, event: StreamEvent) -> Roster:
    """Return the roster that a `principal_…` event made."""
    return Roster(
        principals=dict(before.principals) | {principal.name: principal},
        epoch=event.epoch,
        revision=event.revision,
        hash=event.hash,
        updated_at=event.time,
        updated_by=event.data.actor,
        reason=event.data.reason,
        proof=event.proof,
    )
