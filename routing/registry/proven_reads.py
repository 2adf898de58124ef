"""Reads routes and policies of which only what is proven counts."""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.commands.error import RegistryUnproven, RegistryUnreadable
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.scope import Scope
from signalbox.commands.state import State
from signalbox.routing.policy.policy import Policy, policy_subject
from signalbox.routing.registry.change_proofs import POLICY_KINDS, ROUTE_KINDS
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proof import Place, Verifier, missing, revision_at
from signalbox.routing.registry.roster import ROSTER
from signalbox.routing.registry.roster_reader import RosterReader
from signalbox.routing.registry.tombstone import Tombstone
from signalbox.routing.route import Route

FoundRoute = tuple[Route | RegistryUnreadable | None, str | None]
FoundPolicy = tuple[Policy | RegistryUnreadable | None, str | None]


def proven_routes(
    client: State, rosters: RosterReader, scopes: Sequence[Scope]
) -> list[FoundRoute]:
    """Return route and fence of each scope as `Registry.get_many`; one round trip.

    A second one if the roster changed. RegistryUnproven stands where something does not count, also
    for a route that is missing though nobody signed its deletion.
    """
    fields = [scope.field for scope in scopes]
    routes, fences, gone = client.atomic(
        [
            ("HMGET", f"{TAG}:routes", *fields),
            ("HMGET", FENCE_KEY, ROSTER, *fields),
            ("HMGET", f"{TAG}:gone", *fields),
        ]
    )
    verifier = _verifier(rosters, fences[0])
    return [
        (
            verifier
            if isinstance(verifier, RegistryUnproven)
            else _route(verifier, scope, route, fence, tombstone),
            _text(fence),
        )
        for scope, route, fence, tombstone in zip(scopes, routes, fences[1:], gone, strict=True)
    ]


def proven_policies(
    client: State, rosters: RosterReader, tenants: Sequence[str]
) -> list[FoundPolicy]:
    """Return policy and fence of each tenant as `PolicyRegistry.get_many`; see `proven_routes`."""
    rows, fences = client.atomic(
        [
            ("HMGET", f"{TAG}:policies", *tenants),
            ("HMGET", FENCE_KEY, ROSTER, *map(policy_subject, tenants)),
        ]
    )
    verifier = _verifier(rosters, fences[0])
    return [
        (
            verifier
            if isinstance(verifier, RegistryUnproven)
            else _policy(verifier, tenant, row, fence),
            _text(fence),
        )
        for tenant, row, fence in zip(tenants, rows, fences[1:], strict=True)
    ]


def _verifier(rosters: RosterReader, fence: bytes | None) -> Verifier | RegistryUnproven:
    try:
        return rosters.at(fence)
    except RegistryUnproven as error:
        return error


def _route(
    verifier: Verifier,
    scope: Scope,
    text: bytes | None,
    fence: bytes | None,
    tombstone: bytes | None,
) -> Route | RegistryUnreadable | None:
    revision = revision_at(fence)
    if text is not None:
        place = Place(scope.field, ROUTE_KINDS, revision)
        return verifier.record(
            Route, text, place, kind=scope.kind, tenant_id=scope.tenant_id, env=scope.env
        )
    if fence is None:
        return None
    if tombstone is None:
        return missing(scope.field)
    found = verifier.record(Tombstone, tombstone, Place(scope.field, ("deleted",), revision))
    return None if isinstance(found, Tombstone) else found


def _policy(
    verifier: Verifier, tenant_id: str, text: bytes | None, fence: bytes | None
) -> Policy | RegistryUnreadable | None:
    if text is None:
        return None if fence is None else missing(policy_subject(tenant_id))
    place = Place(policy_subject(tenant_id), POLICY_KINDS, revision_at(fence))
    return verifier.record(Policy, text, place, tenant_id=tenant_id)


def _text(fence: bytes | None) -> str | None:
    return fence.decode(errors="replace") if fence is not None else None
