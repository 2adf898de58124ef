"""Who changes the registry and why, as every change states it."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.routing.registry.author_signature import AuthorSignature


@dataclass(frozen=True, kw_only=True)
class Change:
    """The author, the reason and the idempotency key of a change of the registry."""

    actor: str
    """Who makes the change; recorded in the audit trail."""
    reason: str
    """Why, in their words; recorded in the audit trail."""
    change_id: str
    """A change that was applied under this id is not applied again, for a day."""
    by_author: AuthorSignature | None = None
    """Its author's own signature; None if this process signs it with its own key."""
