"""The system view: the routes of all tenants with their lock, use and health. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from signalbox.commands.error import RegistryUnreadable
from signalbox.commands.ledger.usage import UsageBook, Use
from signalbox.commands.scope import ResourceKind
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import Route


@dataclass(frozen=True)
class RouteStatus:
    """A route with its lock and use."""

    route: Route
    """The route."""
    lock: StrategyLock | None
    """The strategy lock that is held now, None if none is."""
    use: Use
    """This month's use of the route's scope, and its last error."""

    def document(self) -> dict[str, Any]:
        """The status as JSON data."""
        use = self.use
        return self.route.model_dump(mode="json") | {
            "health": use.health,
            "last_error_at": use.error_at.isoformat() if use.error_at else None,
            "lock": self.lock.document() if self.lock else None,
            "use": {
                "objects": use.objects,
                "bytes": use.bytes,
                "reads": use.reads,
                "writes": use.writes,
                "failures": use.failures,
                "bytes_in": use.bytes_in,
                "bytes_out": use.bytes_out,
            },
        }


@dataclass(frozen=True)
class StatusPage:
    """One page of statuses."""

    statuses: list[RouteStatus]
    """The statuses, ordered by tenant and env."""
    next_after: str | None
    """Pass as `after` for the next page; None on the last."""
    unproven: Sequence[RegistryUnreadable] = ()
    """What stands among them and does not count, where changes are signed."""


class SystemView:
    """Reads pages of statuses, four round trips each. All methods raise StateUnavailable."""

    def __init__(self, registry: Registry, usage: UsageBook) -> None:
        self._registry = registry
        self._usage = usage

    def page(
        self,
        kind: ResourceKind,
        *,
        tenant_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> StatusPage:
        """Return a page of the statuses of the kind's routes after `after` (`tenant/env`)."""
        page = self._registry.list_page(kind, tenant_id=tenant_id, after=after, limit=limit)
        return StatusPage(self.of(page.routes), page.next_after, page.unproven)

    def of(self, routes: Sequence[Route]) -> list[RouteStatus]:
        """Return the status of each route."""
        scopes = [route.scope for route in routes]
        locks = self._registry.locks.held(scopes)
        uses = self._usage.read(scopes)
        return [
            RouteStatus(route, lock, use)
            for route, lock, use in zip(routes, locks, uses, strict=True)
        ]
