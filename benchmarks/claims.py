"""What a tenant's policy costs its commands on their way from claim to backend."""

from __future__ import annotations

import itertools
import statistics
import uuid
from dataclasses import dataclass

from benchmarks.figure import NOISE, Figure, milliseconds
from benchmarks.routes import by
from signalbox.commands.ledger.entry import Claims, Intent, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.policy.policy import Quotas, Terms
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.execution.admission import Admission
from signalbox.workers.execution.pipeline_types import Routed
from signalbox.workers.execution.quota_check import within_quotas

PLAIN, LIMITED = "t_plain", "t_limited"
ENV, KIND = "prod", ResourceKind.OBJECT_STORE
QUOTAS = Quotas(objects=10**12, bytes=10**15, commands_per_second=1e6)


@dataclass(frozen=True)
class _Call:
    """Commands of one submit, on a queue of their own: so a take gives these and no others."""

    queue: str
    tenant: str
    tickets: list[Ticket]


class _Way:
    """The executor's steps from claim to what may run, without a backend."""

    def __init__(self, settings: Settings, *, parcels: bool) -> None:
        state = connect(settings.state_url)
        settings = settings.model_copy(update={"tenant_window": 0})  # nothing ends here
        self._ledger = Ledger(state, settings)
        self._parcels = Parcels(state, settings, self._ledger) if parcels else None
        self._book = UsageBook(state)
        registry = Registry(state)
        self._routes = RouteCache(registry, registry.policies)

    def submit(self, tenant: str, size: int) -> _Call:
        payload = InlinePayload(data=b"x" * 1024)
        puts = [
            PutObject(tenant_id=tenant, env=ENV, key=new_op_id(), payload=payload)
            for _ in range(size)
        ]
        queue = f"bench-{new_op_id()}"
        intents = [Intent(put, queue) for put in puts]
        if self._parcels:
            self._parcels.accept(intents)
        else:
            self._ledger.submit(intents)
        return _Call(queue, tenant, [Ticket(put.ref, put.op) for put in puts])

    def go(self, call: _Call) -> None:
        claims = self._claim(call)
        routes = self._routes.resolve_many({c.command.scope: c.fence for c in claims.claimed})
        terms = self._routes.terms_many(claims.policies)
        admission, admitted = Admission(), []
        for item in claims.claimed:
            route, its = routes[item.command.scope], terms[item.command.tenant_id]
            if isinstance(route, Exception) or isinstance(its, Exception):
                raise RuntimeError(f"a claim was refused: {route} {its}")
            admitted.append(admission.admit(Routed(item, route, its)))
        allowed, refused = within_quotas(admitted, self._book)
        if refused or len(allowed) != len(call.tickets):
            raise RuntimeError(f"{len(refused)} commands were refused")

    def _claim(self, call: _Call) -> Claims:
        token = uuid.uuid4().hex
        if self._parcels is None:
            return self._ledger.claim(call.tickets, token=token, worker="bench")
        shard, scope = self._ledger.shards.shard(call.tenant, ENV), f"{KIND}/{call.tenant}/{ENV}"
        return self._parcels.take(
            [shard], call.queue, token=token, worker="bench", rung=False, scopes=[scope]
        ).claims


def claim_cost(settings: Settings, config: RouteConfig) -> list[Figure]:
    """Claim to the backend's door, for a tenant without a policy and one with every quota."""
    registry = Registry(connect(settings.state_url))
    for tenant in (PLAIN, LIMITED):
        scope = Scope(kind=KIND, tenant_id=tenant, env=ENV)
        registry.set(scope, RouteTarget("filesystem", config, Mode.LAB), by())
    registry.policies.set(LIMITED, Terms(quotas=QUOTAS), by())
    ways = {what: _Way(settings, parcels=what == "parcels") for what in ("parcels", "records")}
    figures = []
    for (what, way), size in itertools.product(ways.items(), (1, 100)):
        times: dict[str, list[float]] = {PLAIN: [], LIMITED: []}
        for _ in range(max(20, 2000 // size)):
            # In turns, so that what else the machine does is shared by both.
            for tenant, its in times.items():
                call = way.submit(tenant, size)
                its.append(milliseconds(lambda: way.go(call)) / size * 1e3)  # noqa: B023
        plain, limited = (statistics.median(its) for its in times.values())
        name = f"{what}: claim to the backend's door, {size} a call"
        figures += [
            Figure(f"{name}, no policy", plain, "µs a command"),
            Figure(f"{name}, all quotas", limited, "µs a command"),
            Figure(f"{name}, all quotas to no policy", limited / plain, "x", tolerance=NOISE),
        ]
    return figures
