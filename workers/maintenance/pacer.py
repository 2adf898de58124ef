"""The pacer: wakes commands that wait for their tenant's rate, as fast as the rate allows.

It runs as a thread in every worker; the elected leader does the work. It reads the policies in each
run, so a changed or lifted rate applies to waiting commands too. The cost of a run depends on the
rates and not on the number of waiting commands.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

from signalbox.commands.error import RegistryUnreadable
from signalbox.commands.ledger.rate_queue import RateQueues
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.broker.publisher import Publisher
from signalbox.routing.registry.registry import Registry
from signalbox.workers.maintenance.background_service import BackgroundService
from signalbox.workers.maintenance.election import Election


class Pacer(BackgroundService):
    """Wakes as many commands of each tenant as its rate allows, in accepted order."""

    name, interval = "pacer", 0.25

    def __init__(self, app: Celery, settings: Settings, name: str) -> None:
        super().__init__()
        client = connect_to(settings)
        self._lines = RateQueues(client, settings)
        self._policies = Registry(client, trust_of(settings)).policies
        self._publisher = Publisher(app)
        self._leader = Election(client, "pacer", name)

    def run_once(self) -> int:
        """Wake what the rates allow if this is the leader; return the number of commands.

        Raises StateUnavailable and BrokerUnavailable; what was not published is woken when it is
        due.
        """
        if not self._leader.leads():
            return 0
        waiting = self._lines.waiting_lately()
        if not waiting:
            return 0
        rates = self._rates(sorted({tenant_id for tenant_id, _ in waiting}))
        known = {who: kinds for who, kinds in waiting.items() if who[0] in rates}
        wakes = self._lines.let_go(known, rates)
        self._publisher.publish(wakes)
        return len(wakes)

    def _rates(self, tenants: Sequence[str]) -> dict[str, float | None]:
        """Return the rates of these tenants, except those whose policy cannot be read.

        A later release may have written it; only that tenant waits then.
        """
        rates: dict[str, float | None] = {}
        for tenant_id, (policy, _) in zip(tenants, self._policies.get_many(tenants), strict=True):
            if isinstance(policy, RegistryUnreadable):
                self._log.error("policy cannot be read", tenant_id=tenant_id, error=str(policy))
            else:
                rates[tenant_id] = policy.terms.quotas.commands_per_second if policy else None
        return rates

    def step(self) -> float:
        self.run_once()
        return self.interval
