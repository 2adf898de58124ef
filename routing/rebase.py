"""A new beginning for a state Redis that lost something: its registry, and its ledger."""

from __future__ import annotations

from signalbox.commands.ledger.era import LedgerEras
from signalbox.routing.event import StreamEvent
from signalbox.routing.log import Draft, Seen, Wanted
from signalbox.routing.registry import Registry
from signalbox.routing.row import new_epoch


def rebase(registry: Registry, *, actor: str, reason: str, change_id: str) -> StreamEvent | None:
    """Declare what the state Redis says now to be right, though it may have lost changes.

    It begins a new epoch of the registry and of each of the ledger's shards: workers that refuse
    them as regressed take them from here on, and run what is open as takeovers. The event names
    what the ledger was known to have lost. None for a repeat of an applied `change_id`; a repeat
    ends what the first try may have left undone.
    """
    eras = LedgerEras(registry.client)
    lost = eras.lost()

    def decide(seen: Seen) -> Draft:
        before = {"epoch": seen.head.epoch, "revision": seen.head.revision}
        return Draft(
            "rebased",
            "rebase",
            before | ({"ledger_lost": lost} if lost else {}),
            {"epoch": (epoch := new_epoch()), "revision": seen.head.revision + 1},
            epoch=epoch,
        )

    _, event = registry.log.change(Wanted("registry", "", actor, reason, change_id), decide)
    # Behind the event, since the two cannot be one script: what is declared right is on record.
    eras.rebase(event.epoch if event else registry.head().epoch)
    return event
