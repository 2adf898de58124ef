"""Resolve: finds the route of each claimed command and the terms of its tenant's policy."""

from __future__ import annotations

from copy import copy

from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.entry import Claims
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.archive_reads import archive_reads
from signalbox.workers.execution.pipeline_types import Ended, Routed


def resolve(
    claims: Claims, seen: Position | None, routes: RouteCache, registry: Registry
) -> tuple[list[Routed], list[Ended]]:
    """Return the commands with their routes and terms, and the ends of the others.

    Routes and terms are at least as new as the claim. `seen` is the registry's position that this
    process knew before the claim was sent. Raises StateUnavailable.
    """
    claimed = claims.claimed
    lost = routes.enter(claims.epoch, seen)
    routed: list[Routed] = []
    if routes.distrusted:
        routed, claimed = archive_reads(claimed, registry)
    if lost is not None:
        return routed, [Ended(item, error=copy(lost)) for item in claimed]
    found = routes.resolve_many({c.command.scope: c.fence for c in claimed})
    tenants = {c.command.tenant_id for c in claimed}
    all_terms = routes.terms_many({tenant: claims.policies[tenant] for tenant in tenants})
    ended: list[Ended] = []
    for item in claimed:
        route, terms = found[item.command.scope], all_terms[item.command.tenant_id]
        if isinstance(route, SignalboxError):
            ended.append(Ended(item, error=route))
        elif isinstance(terms, SignalboxError):
            ended.append(Ended(item, route, error=copy(terms)))
        else:
            routed.append(Routed(item, route, terms))
    return routed, ended
