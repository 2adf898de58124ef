"""The findings of `signalbox routes check`, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from signalbox.commands.error import RegistryUnreadable
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.producers.cli.connection import make_client, make_registry
from signalbox.producers.cli.console import err, out, print_json, print_pairs
from signalbox.producers.cli.progress import progress
from signalbox.producers.cli.selection import settings
from signalbox.producers.client.client import Client
from signalbox.producers.diagnosis import count_objects, money, probed
from signalbox.routing.policy.policy import FREE
from signalbox.routing.policy.price import load_prices
from signalbox.routing.route import no_route
from signalbox.routing.system_view import SystemView


def diagnose(
    scopes: Sequence[Scope],
    mode: Mode,
    prices: Path | None,
    recount: bool,
    wait: float,
    as_json: bool,
    *,
    must_exist: bool,
) -> bool:
    """Return whether every backend works. Raises RouteNotFound if there is no route."""
    registry = make_registry()
    book = UsageBook(registry.client)
    tables = load_prices(prices or settings().price_file)
    found = registry.get_many(list(scopes))
    routes = []
    for route, _ in found:
        if isinstance(route, RegistryUnreadable):
            raise route
        if route is not None:
            routes.append(route)
    if not routes:
        raise no_route(scopes[0])
    if must_exist and len(routes) < len(scopes):
        raise no_route(scopes[0])
    policy = registry.policies.get(scopes[0].tenant_id)
    terms = policy.terms if policy else FREE
    well, documents = True, []
    with make_client() as client:
        for route in routes:
            if recount and route.scope.kind is ResourceKind.OBJECT_STORE:
                _recount(client, book, route.scope, mode, wait)
            health = probed(client, route.scope, mode, wait)
            [status] = SystemView(registry, book).of([route])
            well = well and health["error"] is None
            document = {"scope": route.scope.field, "backend": route.backend_type, "probe": health}
            document |= money(status, terms, tables)
            documents.append(document)
            if not as_json:
                _print(document)
    if as_json:
        print_json(documents[0] if must_exist else documents)
    return well


def _recount(client: Client, book: UsageBook, scope: Scope, mode: Mode, wait: float) -> None:
    with progress(err()) as bars:
        task = bars.add_task(f"counting {scope}", total=None)
        count = count_objects(
            client, scope, mode, wait, None, lambda n: bars.update(task, completed=n)
        )
    book.recount(scope, count.objects, count.bytes)


def _print(document: dict[str, Any]) -> None:
    probe_, use, quota = document["probe"], document["use"], document["quota"]
    steps = ", ".join(f"{step['name']} {step['milliseconds']} ms" for step in probe_["steps"])
    error, cost = probe_["error"], document["cost_this_month"]
    tried = f"ok: {steps}"
    if error is not None:
        where = f" (after {steps})" if steps else ""
        tried = f"{error['code']} {error['message']}{where}. {error['next_step'] or ''}"
    stored = "not counted"
    if use["objects"] is not None:
        stored = f"{use['objects']} objects, {use['bytes']} bytes"
    limits = ", ".join(f"{name} {limit}" for name, limit in quota.items() if limit is not None)
    if "error" in cost:
        money = cost["error"]["message"]
    else:
        storage = "not counted" if cost["storage"] is None else f"{cost['storage']:.4f}"
        money = (
            f"{cost['total']:.4f} (storage {storage}, writes {cost['writes']:.4f}, "
            f"reads {cost['reads']:.4f}, out {cost['out']:.4f})"
        )
    lock = document["lock"]
    print_pairs(
        {
            "route": document["scope"],
            "backend": document["backend"],
            "probe": tried,
            "stored": stored,
            "this month": f"{use['writes']} writes, {use['reads']} reads, "
            f"{use['failures']} failures, {use['bytes_in']} bytes in, {use['bytes_out']} out",
            "quota": limits or "none",
            "cost": money,
            "locked by": f"{lock['owner']} until {lock['until']}: {lock['reason']}" if lock else "",
        }
    )
    out().print()
