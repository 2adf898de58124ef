"""The registry of routes in the state Redis. Each change runs one script and appends one event.

Keys, all under the hash tag `{rt}`:

    :head             hash    epoch, revision and hash of the newest event
    :log              stream  the events; the id of each is its revision
    :routes           hash    kind/tenant/env -> route
    :locks            hash    kind/tenant/env -> strategy lock, also one that ran out
    :policies         hash    tenant -> policy
    :fence            hash    kind/tenant/env and policy/tenant -> revision and hash of the last
                              change, also of a deleted route; `@epoch` -> the head: epoch/revision
                              and hash. The ledger's claim reads it
    :index:<kind>     zset    tenant/env in order, for pages
    :history:<subject>  list  revisions of the subject's events, refusals too
    :principals       hash    `all` -> the roster, with a trust file (routing/registry/roster.py)
    :tree             hash    the tree over all records, with a trust file (record_tree.py)
    :gone             hash    kind/tenant/env -> signed deletion of a route, with a trust file
    :change:<id>      string  revision of a change that was applied, for a day

All methods raise StateUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from signalbox.commands.error import InvalidScope, InvalidSetting, RegistryUnreadable
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.proof.trust import Trust
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.state import State
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.change_proofs import ChangeProofs
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.event_log import ChangeRequest, Draft, EventLog, Seen
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.lock_registry import LockRegistry
from signalbox.routing.registry.policy_registry import PolicyRegistry
from signalbox.routing.registry.principal_registry import PrincipalRegistry
from signalbox.routing.registry.proof import unproven
from signalbox.routing.registry.proven_reads import proven_routes
from signalbox.routing.registry.records import Head, read_value, text_of
from signalbox.routing.registry.redaction import without_credentials
from signalbox.routing.registry.roster_reader import RosterReader
from signalbox.routing.registry.route_change import check_revision, decision
from signalbox.routing.registry.strategy_lock import check_lock
from signalbox.routing.registry.tombstone import tombstone_after
from signalbox.routing.route import Route, RouteTarget, no_route, route_after


@dataclass(frozen=True)
class Page:
    """One page of routes."""

    routes: list[Route]
    """The routes, ordered by tenant and env."""
    next_after: str | None
    """Pass as `after` for the next page; None on the last."""
    unproven: list[RegistryUnreadable] = field(default_factory=list)
    """What stands among them and does not count, where changes are signed."""


@dataclass(frozen=True)
class Plan:
    """The result of a planned change, which is not applied."""

    seen: Seen
    """The state that the plan was made on."""
    after: dict[str, Any] | None
    """The route as it would be; None if nothing would change."""
    changes: bool
    """True if the route would change."""


class Registry:
    """Reads and changes routes. Thread-safe."""

    def __init__(self, client: State, trust: Trust | None = None) -> None:
        """With `trust`, changes are signed, and what does not count is not read."""
        self.client = client
        self.rosters = RosterReader(client, trust) if trust is not None else None
        proofs = ChangeProofs(self.rosters) if self.rosters is not None else None
        self.log = EventLog(client, proofs)
        self.locks = LockRegistry(client, self.log)
        self.policies = PolicyRegistry(client, self.log, self.rosters)

    @property
    def principals(self) -> PrincipalRegistry:
        """The principals. Raises InvalidSetting without a trust file."""
        if self.rosters is None:
            raise InvalidSetting(
                "SIGNALBOX_TRUST_FILE: principals need it", next_step="see docs/security.md"
            )
        return PrincipalRegistry(self.log, self.rosters)

    def set(
        self,
        scope: Scope,
        target: RouteTarget,
        change: Change,
        *,
        if_revision: int | None = None,
        lock_token: int | None = None,
        sign_again: bool = False,
    ) -> Route:
        """Create the scope's route, or change its credentials, tuning and mode.

        If the route is already so, nothing is written, unless it is to be signed again. A change
        whose id was applied before is not applied again: the route is returned as it is now, or as
        that change made it if it has been deleted since. `if_revision` makes the change
        conditional (0: only if there is no route).

        Raises RouteLocked, LockLost, RouteExists (its data are elsewhere: use `switch`), Conflict
        (`if_revision`), UnknownBackend, BackendNotImplemented, InvalidRouteConfig, PlaceForbidden,
        ForbiddenBackend and PolicyForbids. Each refusal is recorded in the log.
        """
        return self._change(
            "set", scope, target, change, if_revision, lock_token, sign_again=sign_again
        )

    def switch(
        self,
        scope: Scope,
        target: RouteTarget,
        change: Change,
        *,
        if_revision: int | None = None,
        lock_token: int | None = None,
    ) -> Route:
        """Change the scope's existing route to another backend or config.

        Raises RouteNotFound if there is no route, otherwise the errors of `set` except RouteExists.
        """
        return self._change("switched", scope, target, change, if_revision, lock_token)

    def plan_switch(
        self,
        scope: Scope,
        target: RouteTarget,
        actor: str,
        *,
        if_revision: int | None = None,
        lock_token: int | None = None,
    ) -> Plan:
        """Return what a switch by `actor` would do now, without writing anything.

        Raises the errors of `switch`.
        """
        request = ChangeRequest.of(scope, Change(actor=actor, reason="", change_id=""), lock_token)
        seen = self.log.see(request)
        draft = decision("switched", scope, request, target, if_revision)(seen)
        return Plan(seen, draft.after if draft else None, draft is not None)

    def delete(
        self,
        scope: Scope,
        change: Change,
        *,
        if_revision: int | None = None,
        lock_token: int | None = None,
    ) -> None:
        """Delete the scope's route, at most once per `change_id`.

        Raises RouteLocked, LockLost, RouteNotFound and Conflict (`if_revision`).
        """

        def decide(seen: Seen) -> Draft:
            check_lock(scope, seen.lock, change.actor, lock_token)
            check_revision(scope, if_revision, seen.route)
            if seen.route is None:
                raise no_route(scope)
            store = tombstone_after if self.log.signs else lambda _: None
            return Draft("deleted", "delete", seen.route.document(), None, store)

        request = ChangeRequest.of(scope, change, lock_token, op="routing.delete")
        self.log.change(request, decide)

    def get(self, scope: Scope) -> Route | None:
        """Return the scope's route, or None. Raises RegistryUnreadable."""
        route = self.get_many([scope])[0][0]
        if isinstance(route, RegistryUnreadable):
            raise route
        return route

    def get_many(
        self, scopes: Sequence[Scope]
    ) -> list[tuple[Route | RegistryUnreadable | None, str | None]]:
        """Return route and fence of each scope, None where there is none; one round trip."""
        if not scopes:
            return []
        fields = [scope.field for scope in scopes]
        if self.rosters is not None:
            return proven_routes(self.client, self.rosters, scopes)
        routes, fences = self.client.atomic(
            [("HMGET", f"{TAG}:routes", *fields), ("HMGET", FENCE_KEY, *fields)]
        )
        return [
            (
                read_value(Route, route, kind=s.kind, tenant_id=s.tenant_id, env=s.env)
                if route
                else None,
                fence.decode() if fence else None,
            )
            for s, route, fence in zip(scopes, routes, fences, strict=True)
        ]

    def list_page(
        self,
        kind: ResourceKind,
        *,
        tenant_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Page:
        """Return a page of the kind's routes after `after` (`tenant/env`); two round trips."""
        low = f"({after}" if after else (f"[{tenant_id}/" if tenant_id else "-")
        # `0` follows `/` in ASCII: the end of everything that begins with `tenant/`.
        high = f"({tenant_id}0" if tenant_id else "+"
        index = f"{TAG}:index:{kind}"
        names = self.client.call("ZRANGEBYLEX", index, low, high, "LIMIT", 0, limit)
        members = [text_of(name) for name in names]
        fields = [f"{kind}/{member}" for member in members]
        following = members[-1] if len(members) == limit else None
        if self.rosters is not None:
            return self._proven_page(fields, following)
        found = self.client.call("HMGET", f"{TAG}:routes", *fields) if fields else []
        routes = [Route.model_validate_json(text) for text in found if text is not None]
        return Page(routes, following)

    def _proven_page(self, fields: Sequence[str], following: str | None) -> Page:
        page = Page([], following)
        scopes = []
        for name in fields:
            try:
                scopes.append(Scope.from_field(name))
            except (InvalidScope, ValueError) as error:
                page.unproven.append(unproven("route", name, error))
        for route, _ in self.get_many(scopes):
            if isinstance(route, RegistryUnreadable):
                page.unproven.append(route)
            elif route is not None:
                page.routes.append(route)
        return page

    def history(self, scope: Scope, limit: int = 100) -> list[StreamEvent]:
        """Return the newest `limit` events of the scope, including refusals, oldest first."""
        return self.log.history(scope.field, limit)

    def events(
        self, after: int, limit: int = 1000, block_ms: int | None = None
    ) -> list[StreamEvent]:
        """See `EventLog.events`."""
        return self.log.events(after, limit, block_ms)

    def head(self) -> Head:
        """Return the newest event of the log; revision 0 before the first."""
        return self.log.head()

    def _change(
        self,
        kind: Literal["set", "switched"],
        scope: Scope,
        target: RouteTarget,
        change: Change,
        if_revision: int | None,
        lock_token: int | None,
        *,
        sign_again: bool = False,
    ) -> Route:
        asked = without_credentials(scope, target.document())
        op = "routing.set" if kind == "set" else "routing.switch"
        request = ChangeRequest.of(scope, change, lock_token, asked, op=op)
        decide = decision(kind, scope, request, target, if_revision, sign_again=sign_again)
        seen, event = self.log.change(request, decide)
        if event is not None:
            return route_after(scope, event)
        if seen.route is not None:
            return seen.route
        made = self._made_by(seen.applied, scope)
        if made is None:
            raise no_route(scope)  # a repeat, deleted since, and trimmed from the log
        return made

    def _made_by(self, revision: int | None, scope: Scope) -> Route | None:
        """The route as that event made it, if the log still has it."""
        events = self.events(revision - 1, limit=1) if revision else []
        if not events or events[0].revision != revision or events[0].data.after is None:
            return None
        return route_after(scope, events[0])
