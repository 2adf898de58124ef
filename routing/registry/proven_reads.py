"""Reads routes and policies, and verifies their proofs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import chain
from typing import TypeVar

from signalbox.commands.error import RegistryUnproven, RegistryUnreadable
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.scope import Scope
from signalbox.commands.state import State
from signalbox.routing.policy.policy import Policy, policy_subject
from signalbox.routing.registry.change_proofs import POLICY_KINDS, ROUTE_KINDS
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proof import (
    ExpectedRecord,
    Verifier,
    missing,
    revision_at,
    tenant_and_env,
)
from signalbox.routing.registry.record_tree import FIELDS, TREE, tree_fields
from signalbox.routing.registry.roster import ROSTER
from signalbox.routing.registry.roster_reader import HEAD, RosterReader
from signalbox.routing.registry.tombstone import Tombstone
from signalbox.routing.route import Route

Found = TypeVar("Found")
FoundRoute = tuple[Route | RegistryUnreadable | None, str | None]
FoundPolicy = tuple[Policy | RegistryUnreadable | None, str | None]


def proven_routes(
    client: State, rosters: RosterReader, scopes: Sequence[Scope]
) -> list[FoundRoute]:
    """Return route and fence of each scope as `Registry.get_many`; one round trip.

    It takes a second one if the roster has changed. The result has RegistryUnproven for what is not
    valid, also for a route that is missing although nobody signed its deletion.
    """
    fields = [scope.field for scope in scopes]
    routes, fences, gone, head, nodes = client.atomic(
        [
            ("HMGET", f"{TAG}:routes", *fields),
            ("HMGET", FENCE_KEY, ROSTER, *fields),
            ("HMGET", f"{TAG}:gone", *fields),
            HEAD,
            ("HMGET", TREE, *chain.from_iterable(map(tree_fields, fields))),
        ]
    )
    tree = _Tree(rosters, fences[0], head, nodes)
    return [
        (tree.check(n, scope.field, partial(_route, scope, *stored)), _text(stored[1]))
        for n, (scope, *stored) in enumerate(zip(scopes, routes, fences[1:], gone, strict=True))
    ]


def proven_policies(
    client: State, rosters: RosterReader, tenants: Sequence[str]
) -> list[FoundPolicy]:
    """Return policy and fence of each tenant as `PolicyRegistry.get_many`; see `proven_routes`."""
    subjects = [policy_subject(tenant) for tenant in tenants]
    rows, fences, head, nodes = client.atomic(
        [
            ("HMGET", f"{TAG}:policies", *tenants),
            ("HMGET", FENCE_KEY, ROSTER, *subjects),
            HEAD,
            ("HMGET", TREE, *chain.from_iterable(map(tree_fields, subjects))),
        ]
    )
    tree = _Tree(rosters, fences[0], head, nodes)
    return [
        (tree.check(n, policy_subject(tenant), partial(_policy, tenant, row, fence)), _text(fence))
        for n, (tenant, row, fence) in enumerate(zip(tenants, rows, fences[1:], strict=True))
    ]


class _Tree:
    """The part of the tree that was read with the records, and their verifier."""

    def __init__(
        self,
        rosters: RosterReader,
        roster_fence: bytes | None,
        head: Sequence[bytes | None],
        nodes: Sequence[bytes | None],
    ) -> None:
        self._rosters, self._head, self._nodes = rosters, head, nodes
        self._verifier: Verifier | RegistryUnproven
        try:
            self._verifier = rosters.at(roster_fence)
        except RegistryUnproven as error:
            self._verifier = error

    def check(
        self, number: int, subject: str, read: Callable[[Verifier, str | None], Found]
    ) -> Found | RegistryUnproven:
        """Return what `read` returns for the record of that number, given its newest digest."""
        if isinstance(self._verifier, RegistryUnproven):
            return _at(self._verifier, subject)
        nodes = self._nodes[number * FIELDS : (number + 1) * FIELDS]
        try:
            path = self._rosters.path(self._verifier, self._head, subject, nodes)
        except RegistryUnproven as error:
            return _at(error, subject)
        return read(self._verifier, path.digest)


def _route(
    scope: Scope,
    text: bytes | None,
    fence: bytes | None,
    tombstone: bytes | None,
    verifier: Verifier,
    newest: str | None,
) -> Route | RegistryUnreadable | None:
    revision = revision_at(fence)
    if text is not None:
        expected = ExpectedRecord(scope.field, ROUTE_KINDS, revision, newest)
        return verifier.record(
            Route, text, expected, kind=scope.kind, tenant_id=scope.tenant_id, env=scope.env
        )
    if newest is None and fence is None:
        return None
    if tombstone is None:
        return missing(scope.field)
    expected = ExpectedRecord(scope.field, ("deleted",), revision, newest)
    found = verifier.record(Tombstone, tombstone, expected)
    return None if isinstance(found, Tombstone) else found


def _policy(
    tenant_id: str,
    text: bytes | None,
    fence: bytes | None,
    verifier: Verifier,
    newest: str | None,
) -> Policy | RegistryUnreadable | None:
    if text is None:
        gone = newest is None and fence is None
        return None if gone else missing(policy_subject(tenant_id))
    expected = ExpectedRecord(policy_subject(tenant_id), POLICY_KINDS, revision_at(fence), newest)
    return verifier.record(Policy, text, expected, tenant_id=tenant_id)


def _at(error: RegistryUnproven, subject: str) -> RegistryUnproven:
    """Return the error of all records as that of one."""
    its = copy(error)
    tenant_id, env = tenant_and_env(subject)
    its.at(tenant_id=tenant_id, env=env)
    return its


def _text(fence: bytes | None) -> str | None:
    return fence.decode(errors="replace") if fence is not None else None
