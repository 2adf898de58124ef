"""Diagnosis of routes through the queue: probes a backend, counts objects, estimates costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from signalbox.commands.error import SignalboxError
from signalbox.commands.object_store import ListObjects
from signalbox.commands.routing import ProbeResult, ProbeRoute, RouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.producers.client.client import Client
from signalbox.routing.policy.policy import Terms
from signalbox.routing.policy.price import PriceTables, estimate
from signalbox.routing.registry.permit import Permits
from signalbox.routing.system_view import RouteStatus

MAX_COUNT = 100_000
"""Maximum number of objects that a count reads by default."""


@dataclass(frozen=True)
class Count:
    """What is stored in a scope."""

    objects: int
    """Number of objects."""
    bytes: int
    """Their total size in bytes."""
    whole: bool
    """False if the limit was reached before the end."""


def probe(
    client: Client,
    scope: Scope,
    mode: Mode,
    wait: float,
    backend_type: str | None = None,
    config: RouteConfig | None = None,
) -> ProbeResult:
    """Have a worker probe the route's backend, or the given backend and config.

    Waits up to `wait` seconds. Raises OutcomePending, and the errors that forbid the backend before
    it is called.
    """
    command = ProbeRoute(
        tenant_id=scope.tenant_id,
        env=scope.env,
        mode=mode,
        resource_kind=scope.kind,
        backend_type=backend_type,
        config=config or {},
    )
    # Workers run a probe only with this permit: not every producer may have backends probed.
    Permits(client.state).give([command])
    return client.run(command, timedelta(seconds=wait))


def probed(client: Client, scope: Scope, mode: Mode, wait: float) -> dict[str, Any]:
    """Return the result of `probe` as a document, or a document with its error."""
    try:
        return probe(client, scope, mode, wait).model_dump(mode="json")
    except SignalboxError as error:
        return {"steps": [], "error": error.detail().model_dump()}


def money(status: RouteStatus, terms: Terms, tables: PriceTables) -> dict[str, Any]:
    """Return use, quota, lock and estimated cost of a route as a document."""
    use, quotas = status.use, terms.quotas
    document: dict[str, Any] = {
        "health": use.health,
        "use": status.document()["use"],
        "quota": {
            "objects": quotas.objects,
            "bytes": quotas.bytes,
            "commands_per_second": quotas.commands_per_second,
        },
        "lock": status.lock.document() if status.lock else None,
    }
    try:
        cost = estimate(use, status.route.backend_type, tables, terms.price_table)
        document["cost_this_month"] = asdict(cost) | {"total": cost.total}
    except SignalboxError as error:
        document["cost_this_month"] = {"error": error.detail().model_dump()}
    return document


def count_objects(
    client: Client,
    scope: Scope,
    mode: Mode,
    wait: float,
    limit: int | None = MAX_COUNT,
    told: Callable[[int], None] = lambda _: None,
) -> Count:
    """Count the objects of a scope, page by page; `told` is called with the count after each page.

    Each page must arrive within `wait` seconds. Raises OutcomePending and the errors of a list.
    """
    objects = size = 0
    cursor: str | None = None
    while limit is None or objects < limit:
        command = ListObjects(tenant_id=scope.tenant_id, env=scope.env, mode=mode, cursor=cursor)
        page = client.run(command, timedelta(seconds=wait))
        objects += len(page.objects)
        size += sum(entry.size for entry in page.objects)
        told(objects)
        cursor = page.next_cursor
        if cursor is None:
            return Count(objects, size, whole=True)
    return Count(objects, size, whole=False)
