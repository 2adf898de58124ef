"""Reads of the archive, which run even while ledger or registry have lost data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from signalbox.commands.error import LedgerRegressed, RegistryUnreadable, SignalboxError
from signalbox.commands.event_stream import ReadEvents
from signalbox.commands.ledger.entry import Claimed, Claims
from signalbox.commands.ledger.shard import Shards
from signalbox.producers.archive import ARCHIVE_SCOPE, ARCHIVE_STREAM
from signalbox.routing.policy.policy import FREE, Terms
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.pipeline_types import Ended, Routed

_NEXT = (
    "let the producers send again what they were told was accepted since the backup, then: "
    "signalbox routes rebase --reason <text>"
)


def withhold(claims: Claims, shards: Shards) -> tuple[Claims, list[Ended]]:
    """Return the claims that may run.

    Commands of a ledger that lost data wait, and their ends are returned.
    """
    if not claims.lost:
        return claims, []
    runnable, ended = [], []
    for item in claims.claimed:
        reason = claims.lost.get(shards.of(item.command.ref))
        if reason is None or _reads_archive(item):
            runnable.append(item)
        else:
            ended.append(Ended(item, error=LedgerRegressed(reason, next_step=_NEXT)))
    return replace(claims, claimed=runnable), ended


def archive_terms(registry: Registry) -> Terms | SignalboxError:
    """Return the terms for reads of the archive, as the registry says. Raises StateUnavailable."""
    try:
        policy = registry.policies.get(ARCHIVE_SCOPE.tenant_id)
    except RegistryUnreadable as error:
        return error
    return policy.terms if policy else FREE


def archive_reads(
    claimed: Sequence[Claimed], registry: Registry, terms: Mapping[str, Terms | SignalboxError]
) -> tuple[list[Routed], list[Claimed]]:
    """Split off reads of the archive of StreamEvents, routed as the registry says.

    Return the others too. An operator needs them to find out what has to be set again before the
    registry is declared correct. If the archive's own route was lost, an older archive answers.
    Raises StateUnavailable.
    """
    reads = [item for item in claimed if _reads_archive(item)]
    try:
        route = registry.get(ARCHIVE_SCOPE) if reads else None
    except RegistryUnreadable:
        return [], list(claimed)
    its = terms.get(ARCHIVE_SCOPE.tenant_id)
    if route is None or not isinstance(its, Terms):
        return [], list(claimed)
    others = [item for item in claimed if not _reads_archive(item)]
    return [Routed(item, route, its) for item in reads], others


def _reads_archive(item: Claimed) -> bool:
    command = item.command
    return (
        isinstance(command, ReadEvents)
        and command.scope == ARCHIVE_SCOPE
        and command.stream == ARCHIVE_STREAM
    )
