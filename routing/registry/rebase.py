"""The rebase: an operator accepts a state Redis that lost changes, in registry and ledger."""

from __future__ import annotations

from signalbox.commands.ledger.era import LedgerEras
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.event_log import ChangeRequest, Draft, Seen
from signalbox.routing.registry.records import new_epoch
from signalbox.routing.registry.registry import Registry


def rebase(registry: Registry, change: Change) -> StreamEvent | None:
    """Accept the current content of the state Redis, although changes may have been lost.

    Begins a new epoch of the registry and of each shard of the ledger. Workers that refused them as
    regressed accept them from then on, and run open commands as takeovers. The event records what
    the ledger is known to have lost. Returns None if the change was applied before; such a repeat
    still completes what the first attempt may have left undone.
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
            # Workers that check signatures believe no new epoch without it.
            store=lambda event: event if event.proof else None,
            epoch=epoch,
        )

    request = ChangeRequest("registry", "", change, op="registry.rebase")
    _, event = registry.log.change(request, decide)
    # Behind the event, since the two cannot be one script: what is declared right is on record.
    eras.rebase(event.epoch if event else registry.head().epoch)
    return event
