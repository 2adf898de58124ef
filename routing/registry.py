"""The registry of routes in the state Redis: every change is one event, in one script.

Keys, all under the hash tag `{rt}`:

    :head             hash    epoch, revision and hash of the newest event
    :log              stream  the events; the id of each is its revision
    :routes           hash    kind/tenant/env -> route
    :fence            hash    kind/tenant/env -> revision and hash of the last change, also of a
                              deleted route; the ledger's claim reads it
    :index:<kind>     zset    tenant/env in order, for pages
    :history:<field>  list    revisions of the scope's events, refusals too
    :change:<id>      string  revision of a change that was applied, for a day

All methods raise StateUnavailable.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis

from adapters.catalogue import find_backend
from commands.error import Conflict, RouteExists, RoutingError
from commands.routing import RouteConfig
from commands.scope import Mode, ResourceKind, Scope
from commands.script import Script, run_pipeline
from commands.state import state_errors
from routing.event import EventData, Kind, StreamEvent, make_event
from routing.guard import check_mode
from routing.refusal import recordable
from routing.route import Route, no_route, route_after
from routing.row import Head, read_events, read_head, text_of

TAG = "{rt}"
_CHANGE = Script("routing", "change.lua")
_CHANGE_MEMORY = timedelta(days=1)
_TRIES = 1000
"""Changes of other routes that may come in between before this one gives up."""


@dataclass(frozen=True)
class Page:
    """Routes in the order of tenant and env; `next_after` continues behind the last."""

    routes: list[Route]
    next_after: str | None


@dataclass(frozen=True)
class _Wanted:
    """One change, before it is known what it changes."""

    scope: Scope
    actor: str
    reason: str
    change_id: str
    if_revision: int | None


class Registry:
    """Reads and changes routes. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def set(
        self,
        scope: Scope,
        backend_type: str,
        config: RouteConfig,
        *,
        mode: Mode,
        actor: str,
        reason: str,
        change_id: str,
        if_revision: int | None = None,
    ) -> Route:
        """Create the scope's route, or change config and mode of the one on the same backend.

        A route that is already so stays, without an event. So does whatever a repeat of an applied
        `change_id` finds; it returns the route as it is now, or as that change made it where it
        is deleted since. Raises RouteExists (another backend: use `switch`), Conflict
        (`if_revision`), UnknownBackend, BackendNotImplemented, InvalidRouteConfig,
        ForbiddenBackend; each refusal is recorded in the log.
        """

        def check(before: Route | None) -> None:
            if before is not None and before.backend_type != backend_type:
                raise RouteExists(
                    f"{scope} is routed to {before.backend_type}",
                    next_step="use `signalbox routes switch` to move it to another backend",
                )

        wanted = _Wanted(scope, actor, reason, change_id, if_revision)
        return self._point(wanted, "set", backend_type, config, mode, check)

    def switch(
        self,
        scope: Scope,
        backend_type: str,
        config: RouteConfig,
        *,
        mode: Mode,
        actor: str,
        reason: str,
        change_id: str,
        if_revision: int | None = None,
    ) -> Route:
        """Point the scope's route at another backend or place.

        Raises RouteNotFound if there is none; else like `set`.
        """

        def check(before: Route | None) -> None:
            if before is None:
                raise no_route(scope)

        wanted = _Wanted(scope, actor, reason, change_id, if_revision)
        return self._point(wanted, "switched", backend_type, config, mode, check)

    def delete(
        self,
        scope: Scope,
        *,
        actor: str,
        reason: str,
        change_id: str,
        if_revision: int | None = None,
    ) -> None:
        """Remove the scope's route, once a `change_id`. Raises RouteNotFound, Conflict."""

        def check(before: Route | None) -> None:
            if before is None:
                raise no_route(scope)

        wanted = _Wanted(scope, actor, reason, change_id, if_revision)
        self._change(wanted, "deleted", None, check)

    def get(self, scope: Scope) -> Route | None:
        return self.get_many([scope])[0][0]

    def get_many(self, scopes: Sequence[Scope]) -> list[tuple[Route | None, str | None]]:
        """Route and fence of each scope, read together in one round trip."""
        if not scopes:
            return []
        fields = [scope.field for scope in scopes]
        with state_errors(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hmget(f"{TAG}:routes", fields)
            pipeline.hmget(f"{TAG}:fence", fields)
            routes, fences = pipeline.execute()
        return [
            (Route.model_validate_json(route) if route else None, fence.decode() if fence else None)
            for route, fence in zip(routes, fences, strict=True)
        ]

    def list_page(
        self,
        kind: ResourceKind,
        *,
        tenant_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Page:
        """A page of the kind's routes, behind `after` (`tenant/env`); two round trips."""
        low = f"({after}" if after else (f"[{tenant_id}/" if tenant_id else "-")
        # `0` follows `/` in ASCII: the end of everything that begins with `tenant/`.
        high = f"({tenant_id}0" if tenant_id else "+"
        with state_errors():
            names = self._client.zrangebylex(f"{TAG}:index:{kind}", low, high, 0, limit)
            members = [text_of(name) for name in names]
            fields = [f"{kind}/{member}" for member in members]
            found = self._client.hmget(f"{TAG}:routes", fields) if fields else []
        routes = [Route.model_validate_json(text) for text in found if text is not None]
        return Page(routes, members[-1] if len(members) == limit else None)

    def history(self, scope: Scope, limit: int = 100) -> list[StreamEvent]:
        """The newest `limit` events of the scope, oldest first; refusals are among them."""
        with state_errors():
            revisions = self._client.lrange(f"{TAG}:history:{scope.field}", -limit, -1)
        calls = [("XRANGE", f"{TAG}:log", f"{int(r)}-0", f"{int(r)}-0") for r in revisions]
        return [
            event for rows in run_pipeline(self._client, calls, []) for event in read_events(rows)
        ]

    def events(
        self, after: int, limit: int = 1000, block_ms: int | None = None
    ) -> list[StreamEvent]:
        """Events behind a revision, oldest first; waits up to `block_ms` where there is none."""
        log = f"{TAG}:log"
        with state_errors():
            if block_ms is not None:
                self._client.xread({log: f"{after}-0"}, count=1, block=block_ms)
            return read_events(self._client.xrange(log, f"({after}-0", "+", limit) or [])

    def head(self) -> Head:
        with state_errors():
            return read_head(self._client.hmget(f"{TAG}:head", ["epoch", "rev", "hash"]))

    def _point(
        self,
        wanted: _Wanted,
        kind: Kind,
        backend_type: str,
        config: RouteConfig,
        mode: Mode,
        check: Callable[[Route | None], None],
    ) -> Route:
        target = {"backend_type": backend_type, "config": config, "mode": mode.value}

        def check_all(before: Route | None) -> None:
            backend = find_backend(wanted.scope.kind, backend_type)
            check_mode(wanted.scope, backend, mode)
            backend.check_config(config)
            check(before)

        route = self._change(wanted, kind, target, check_all)
        if route is None:
            raise no_route(wanted.scope)  # a repeat, deleted since, and trimmed from the log
        return route

    def _change(
        self,
        wanted: _Wanted,
        kind: Kind,
        target: dict[str, Any] | None,
        check: Callable[[Route | None], None],
    ) -> Route | None:
        """Read head and route, check, and append; again if another change came in between."""
        scope = wanted.scope
        for _ in range(_TRIES):
            head, before, applied = self._read(scope, wanted.change_id)
            if applied is not None:
                # Before any check: a repeat must not conflict with its own effect.
                return before or self._made_by(applied, scope)
            error: RoutingError | None = None
            try:
                _check_revision(wanted, before)
                check(before)
            except RoutingError as refusal:
                error = refusal
                error.at(kind=scope.kind, tenant_id=scope.tenant_id, env=scope.env)
            if error is None and before is not None and _same(before, target):
                return before
            data = EventData(
                actor=wanted.actor,
                reason=wanted.reason,
                before=before.target() if before else None,
                after=recordable(scope, target) if error else target,
                error=error.detail().model_dump() if error else None,
                change_id=wanted.change_id,
            )
            event = make_event(
                "refused" if error else kind,
                scope.field,
                data,
                epoch=head.epoch,
                revision=head.revision + 1,
                prev=head.hash,
            )
            route = route_after(scope, event) if error is None and target else None
            answer = self._append(head, scope, event, route, wanted.change_id, error is not None)
            if answer == b"moved":
                continue
            if error is not None:
                raise error
            if answer == b"ok":
                return route
            # Known: applied since the read, by a retry or another worker. The next read tells.
        raise Conflict(
            f"{_TRIES} other changes came in between",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            next_step="try again when fewer routes are being changed",
        )

    def _read(self, scope: Scope, change_id: str) -> tuple[Head, Route | None, int | None]:
        """Head, route, and the revision that this change made if it was applied before."""
        with state_errors(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.hmget(f"{TAG}:head", ["epoch", "rev", "hash"])
            pipeline.hget(f"{TAG}:routes", scope.field)
            pipeline.get(f"{TAG}:change:{change_id}")
            head, route, applied = pipeline.execute()
        return (
            read_head(head),
            Route.model_validate_json(route) if route else None,
            int(applied) if applied else None,
        )

    def _made_by(self, revision: int, scope: Scope) -> Route | None:
        """The route as that event made it; None for a deletion, or if the log has it no more."""
        events = self.events(revision - 1, limit=1)
        if not events or events[0].revision != revision or events[0].data.after is None:
            return None
        return route_after(scope, events[0])

    def _append(
        self,
        head: Head,
        scope: Scope,
        event: StreamEvent,
        route: Route | None,
        change_id: str,
        refused: bool,
    ) -> bytes:
        arguments = [
            # A refusal decides nothing: the same change may be asked for again, and pass.
            f"{change_id}:refused:{uuid.uuid4().hex}" if refused else change_id,
            head.epoch,
            head.revision,
            head.hash,
            event.model_dump_json(exclude={"committed_at"}),
            event.hash,
            scope.field,
            "none" if refused else ("set" if route else "delete"),
            route.model_dump_json() if route else "",
            scope.kind,
            _CHANGE_MEMORY // timedelta(milliseconds=1),
        ]
        [answer] = run_pipeline(self._client, [_CHANGE.call([TAG], arguments)], [_CHANGE])
        status: bytes = answer[0]
        return status


def _check_revision(wanted: _Wanted, before: Route | None) -> None:
    current = before.revision if before else 0
    if wanted.if_revision is not None and wanted.if_revision != current:
        raise Conflict(
            f"the route of {wanted.scope} is at revision {current}, not {wanted.if_revision}",
            next_step="look at it with `signalbox routes get`, and decide anew",
        )


def _same(before: Route, target: dict[str, Any] | None) -> bool:
    return target is not None and target == {
        "backend_type": before.backend_type,
        "config": before.config,
        "mode": before.mode.value,
    }
