"""The system view: routes of all tenants with their lock, use and health. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from signalbox.commands.ledger.usage import UsageBook, Use
from signalbox.commands.scope import ResourceKind
from signalbox.routing.lock import StrategyLock
from signalbox.routing.registry import Registry
from signalbox.routing.route import Route


@dataclass(frozen=True)
class RouteStatus:
    """A route, and how it stands with it."""

    route: Route
    lock: StrategyLock | None
    use: Use

    def document(self) -> dict[str, Any]:
        """As JSON, for a console."""
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
    """Statuses in the order of tenant and env; `next_after` continues behind the last."""

    statuses: list[RouteStatus]
    next_after: str | None


class SystemView:
    """Reads pages of statuses, four round trips each. Methods raise StateUnavailable."""

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
        """A page of the kind's routes, behind `after` (`tenant/env`)."""
        page = self._registry.list_page(kind, tenant_id=tenant_id, after=after, limit=limit)
        return StatusPage(self.of(page.routes), page.next_after)

    def of(self, routes: Sequence[Route]) -> list[RouteStatus]:
        """The status of each route."""
        scopes = [route.scope for route in routes]
        locks = self._registry.locks.held(scopes)
        uses = self._usage.read(scopes)
        return [
            RouteStatus(route, lock, use)
            for route, lock, use in zip(routes, locks, uses, strict=True)
        ]
