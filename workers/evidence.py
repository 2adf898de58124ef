"""What still runs while the registry is known to have lost changes: reads that show which."""

from __future__ import annotations

from collections.abc import Sequence

from commands.event_stream import ReadEvents
from commands.ledger.entry import Claimed
from producers.archive import ARCHIVE_SCOPE, ARCHIVE_STREAM
from routing.policy import FREE
from routing.registry import Registry
from workers.stage import Routed


def archive_reads(
    claimed: Sequence[Claimed], registry: Registry
) -> tuple[list[Routed], list[Claimed]]:
    """Reads of the archive of StreamEvents, on the route that the registry has, and the others.

    Without them an operator could not tell what to set again before the registry is declared
    right. Should the archive's own route be what was lost, an older archive answers. Raises
    StateUnavailable.
    """
    reads = [item for item in claimed if _reads_archive(item)]
    route = registry.get(ARCHIVE_SCOPE) if reads else None
    if route is None:
        return [], list(claimed)
    policy = registry.policies.get(ARCHIVE_SCOPE.tenant_id)
    terms = policy.terms if policy else FREE
    others = [item for item in claimed if not _reads_archive(item)]
    return [Routed(item, route, terms) for item in reads], others


def _reads_archive(item: Claimed) -> bool:
    command = item.command
    return (
        isinstance(command, ReadEvents)
        and command.scope == ARCHIVE_SCOPE
        and command.stream == ARCHIVE_STREAM
    )
