"""A new beginning for a registry that lost changes."""

from __future__ import annotations

from routing.event import StreamEvent
from routing.log import Draft, EventLog, Seen, Wanted
from routing.row import new_epoch


def rebase(log: EventLog, *, actor: str, reason: str, change_id: str) -> StreamEvent | None:
    """Declare what the registry says now to be right, though it may have lost changes.

    It begins a new epoch: workers that refuse it as regressed take it from here on. None
    for a repeat of an applied `change_id`.
    """

    def decide(seen: Seen) -> Draft:
        return Draft(
            "rebased",
            "rebase",
            {"epoch": seen.head.epoch, "revision": seen.head.revision},
            {"epoch": (epoch := new_epoch()), "revision": seen.head.revision + 1},
            epoch=epoch,
        )

    _, event = log.change(Wanted("registry", "", actor, reason, change_id), decide)
    return event
