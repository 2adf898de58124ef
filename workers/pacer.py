"""Lets commands go that wait for their tenant's rate.

A thread in every worker, of which one at a time leads. It reads the policies anew each turn, so a
rate that was changed or lifted counts for what waits already. Its work is that of the rates, not
of the backlogs: what waits is not looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog
from celery import Celery

from signalbox.commands.error import RegistryUnreadable, SignalboxError
from signalbox.commands.ledger.line import Lines
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.publisher import Publisher
from signalbox.routing.policies import Policies
from signalbox.workers.leader import Leader

log = structlog.get_logger("signalbox.pacer")

TURN_SECONDS = 0.25


class Pacer:
    """Wakes as many commands of a tenant as its rate allows, as accepted."""

    def __init__(self, app: Celery, settings: Settings, name: str) -> None:
        client = connect_to(settings)
        self._lines = Lines(client, settings)
        self._policies = Policies(client)
        self._publisher = Publisher(app)
        self._leader = Leader(client, "pacer", name)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def turn(self) -> int:
        """One turn, if this is the leader: how many commands were let go.

        Raises StateUnavailable, BrokerUnavailable; what was not published is woken when it is due.
        """
        if not self._leader.leads():
            return 0
        waiting = self._lines.waiting_lately()
        if not waiting:
            return 0
        rates = self._rates(sorted({tenant_id for tenant_id, _ in waiting}))
        known = {place: kinds for place, kinds in waiting.items() if place[0] in rates}
        wakes = self._lines.let_go(known, rates)
        self._publisher.publish(wakes)
        return len(wakes)

    def _rates(self, tenants: Sequence[str]) -> dict[str, float | None]:
        """Without a tenant whose policy cannot be read (of a later release): it alone waits."""
        rates: dict[str, float | None] = {}
        for tenant_id, (policy, _) in zip(tenants, self._policies.get_many(tenants), strict=True):
            if isinstance(policy, RegistryUnreadable):
                log.error("policy cannot be read", tenant_id=tenant_id, error=str(policy))
            else:
                rates[tenant_id] = policy.terms.quotas.commands_per_second if policy else None
        return rates

    def _run(self) -> None:
        while not self._stopped.wait(TURN_SECONDS):
            try:
                self.turn()
            except SignalboxError as error:
                log.warning("pacer waits", error=str(error))
            except Exception:
                # Without this thread nothing that waits for a rate would go on.
                log.exception("pacer turn failed")
