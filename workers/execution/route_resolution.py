"""Resolve: finds the terms of each tenant's policy, and then the route of each claimed command."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from signalbox.commands.error import RegistryRegressed, RegistryUnproven, SignalboxError
from signalbox.commands.ledger.entry import Claims
from signalbox.commands.ref import split_ref
from signalbox.producers.archive import ARCHIVE_SCOPE
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.archive_reads import archive_reads, archive_terms
from signalbox.workers.execution.pipeline_types import Ended, Routed


@dataclass(frozen=True)
class Policies:
    """What the registry says of the tenants of a claim."""

    terms: dict[str, Terms | SignalboxError]
    """The terms of each tenant, at least as new as the claim, or why they cannot be told."""
    lost: RegistryRegressed | RegistryUnproven | None = None
    """Why the registry does not count as a whole."""


def terms_of(
    claims: Claims, seen: Position | None, routes: RouteCache, registry: Registry
) -> Policies:
    """Return the terms of the tenants whose commands were claimed.

    `seen` is the registry's position that this process knew before the claim was sent. Raises
    StateUnavailable.
    """
    lost = routes.enter(claims.epoch, seen)
    tenants = {item.command.tenant_id for item in claims.claimed}
    tenants |= {split_ref(item.ref)[0] for item in claims.unrunnable} & claims.policies.keys()
    terms: dict[str, Terms | SignalboxError] = {}
    if lost is None:
        terms = routes.terms_many({tenant: claims.policies[tenant] for tenant in tenants})
    else:
        terms = {tenant: copy(lost) for tenant in tenants}
    if routes.distrusted and ARCHIVE_SCOPE.tenant_id in tenants:
        terms[ARCHIVE_SCOPE.tenant_id] = archive_terms(registry)
    return Policies(terms, lost)


def resolve(
    claims: Claims, policies: Policies, routes: RouteCache, registry: Registry
) -> tuple[list[Routed], list[Ended]]:
    """Return the commands with their routes and terms, and the ends of the others.

    Routes are at least as new as the claim. Raises StateUnavailable.
    """
    claimed, terms = claims.claimed, policies.terms
    routed: list[Routed] = []
    if routes.distrusted:
        routed, claimed = archive_reads(claimed, registry, terms)
    if policies.lost is not None:
        return routed, [Ended(item, error=copy(policies.lost)) for item in claimed]
    found = routes.resolve_many({c.command.scope: c.fence for c in claimed})
    ended: list[Ended] = []
    for item in claimed:
        route, its = found[item.command.scope], terms[item.command.tenant_id]
        if isinstance(route, SignalboxError):
            ended.append(Ended(item, error=route))
        elif isinstance(its, SignalboxError):
            ended.append(Ended(item, route, error=copy(its)))
        else:
            routed.append(Routed(item, route, its))
    return routed, ended
