"""Looks in the registry for tenants of which it has nothing."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

from signalbox.commands.ledger.fences import FenceQuestion
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.script import run_pipeline
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry


def tenants_without_records(
    registry: Registry, scopes: Collection[Scope], seen: Position | None
) -> set[str]:
    """Return the tenants among these scopes of which the registry has nothing.

    Such a tenant has no policy and no route of any kind in any env, and none of its scopes here
    ever had a route. One round trip, and where changes are signed two more for those tenants.
    Every change that was acknowledged before the call is seen. `seen` is a position of the registry
    that this process knows: one that is behind it has lost changes, and says of no tenant that it
    has nothing; nor does a record that is not proven. Raises StateUnavailable.
    """
    asked = FenceQuestion.of(scope.field for scope in scopes)
    kinds = [*ResourceKind]
    calls = [
        # `0` follows `/` in ASCII: the end of everything that begins with `tenant/`.
        ("ZRANGE", f"{TAG}:index:{kind}", f"[{tenant}/", f"({tenant}0", "BYLEX", "LIMIT", 0, 1)
        for tenant, kind in product(asked.tenants, kinds)
    ]
    first, *pages = run_pipeline(registry.client, [asked.call(), *calls], [])
    fences = asked.read(first)
    now = Position.parse(fences.epoch) if fences.epoch is not None else None
    if seen is not None and (now is None or now.lost(seen)):
        return set()
    known = {tenant for tenant, fence in fences.policies.items() if fence is not None}
    known |= {scope.tenant_id for scope in scopes if fences.routes[scope.field] is not None}
    indexed = zip(product(asked.tenants, kinds), pages, strict=True)
    known |= {tenant for (tenant, _), page in indexed if page}
    unknown = set(asked.tenants) - known
    return _proven(registry, scopes, unknown) if registry.rosters is not None else unknown


def _proven(registry: Registry, scopes: Collection[Scope], unknown: set[str]) -> set[str]:
    """Fences and indexes are not signed. Leave out tenants whose records' absence is not proven."""
    asked, tenants = [s for s in scopes if s.tenant_id in unknown], sorted(unknown)
    routes, policies = registry.get_many(asked), registry.policies.get_many(tenants)
    known = {s.tenant_id for s, (route, _) in zip(asked, routes, strict=True) if route is not None}
    known |= {t for t, (policy, _) in zip(tenants, policies, strict=True) if policy is not None}
    return unknown - known
