"""What a tenant's policy costs its commands on their way from claim to backend."""

from __future__ import annotations

import statistics
import uuid

from benchmarks.figure import NOISE, Figure, milliseconds
from benchmarks.routes import by
from commands.ledger.entry import Intent, Ticket
from commands.ledger.ledger import Ledger
from commands.ledger.usage import UsageBook
from commands.model import new_op_id
from commands.object_store import PutObject
from commands.payload import InlinePayload
from commands.routing import RouteConfig
from commands.scope import Mode, ResourceKind, Scope
from commands.settings import Settings
from commands.state import connect
from routing.cache import RouteCache
from routing.policy import Quotas, Terms
from routing.registry import Registry
from workers.admission import admit
from workers.quota import within_quotas
from workers.stage import Routed

PLAIN, LIMITED = "t_plain", "t_limited"
QUOTAS = Quotas(objects=10**12, bytes=10**15, commands_per_second=1e6)


class _Way:
    """The executor's steps from claim to what may run, without a backend."""

    def __init__(self, settings: Settings) -> None:
        state = connect(settings.state_url)
        self._ledger = Ledger(state, settings)
        self._book = UsageBook(state)
        registry = Registry(state)
        self._routes = RouteCache(registry, registry.policies)

    def submit(self, tenant: str, size: int) -> list[Ticket]:
        payload = InlinePayload(data=b"x" * 1024)
        puts = [
            PutObject(tenant_id=tenant, env="prod", key=new_op_id(), payload=payload)
            for _ in range(size)
        ]
        self._ledger.submit([Intent(put, "bench") for put in puts])
        return [Ticket(put.ref, put.op) for put in puts]

    def go(self, tickets: list[Ticket]) -> None:
        claims = self._ledger.claim(tickets, token=uuid.uuid4().hex, worker="bench")
        routes = self._routes.resolve_many({c.command.scope: c.fence for c in claims.claimed})
        terms = self._routes.terms_many(claims.policies)
        admitted = []
        for item in claims.claimed:
            route, its = routes[item.command.scope], terms[item.command.tenant_id]
            if isinstance(route, Exception) or isinstance(its, Exception):
                raise RuntimeError(f"a claim was refused: {route} {its}")
            admitted.append(admit(Routed(item, route, its)))
        allowed, refused = within_quotas(admitted, self._book)
        if refused or len(allowed) != len(tickets):
            raise RuntimeError(f"{len(refused)} commands were refused")


def claim_cost(settings: Settings, config: RouteConfig) -> list[Figure]:
    """Claim to the backend's door, for a tenant without a policy and one with every quota."""
    registry = Registry(connect(settings.state_url))
    for tenant in (PLAIN, LIMITED):
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="prod")
        registry.set(scope, "filesystem", config, mode=Mode.LAB, **by())
    registry.policies.set(LIMITED, Terms(quotas=QUOTAS), **by())
    way = _Way(settings)
    figures = []
    for size in (1, 100):
        times: dict[str, list[float]] = {PLAIN: [], LIMITED: []}
        for _ in range(max(20, 2000 // size)):
            # In turns, so that what else the machine does is shared by both.
            for tenant, its in times.items():
                tickets = way.submit(tenant, size)
                its.append(milliseconds(lambda: way.go(tickets)) / size * 1e3)  # noqa: B023
        plain, limited = (statistics.median(its) for its in times.values())
        what = f"claim to the backend's door, {size} a call"
        figures += [
            Figure(f"{what}, no policy", plain, "µs a command"),
            Figure(f"{what}, all quotas", limited, "µs a command"),
            Figure(f"{what}, all quotas to no policy", limited / plain, "x", tolerance=NOISE),
        ]
    return figures
