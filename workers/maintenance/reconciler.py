"""The reconciler: wakes commands that are due, as after a lost message or a dead worker.

It runs as a thread in every worker; the elected leader does the work.
"""

from __future__ import annotations

import time
from datetime import timedelta

from celery import Celery

from signalbox.commands.fault import reach
from signalbox.commands.ledger.due_check import DueCheck
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.broker.publisher import Publisher
from signalbox.workers.maintenance.background_service import BackgroundService
from signalbox.workers.maintenance.election import Election


class Reconciler(BackgroundService):
    """Publishes the messages of due commands again, a bounded number in each run."""

    name, interval = "reconciler", 0.5

    def __init__(self, app: Celery, settings: Settings, name: str) -> None:
        super().__init__()
        self._client = connect_to(settings)
        self._ledger = Ledger(self._client, settings)
        self._parcels = Parcels(self._client, settings, self._ledger)
        grace = settings.publish_grace if settings.tenant_window else timedelta(0)
        self._look = DueCheck(self._client, grace // timedelta(milliseconds=1))
        self._publisher = Publisher(app)
        self._leader = Election(self._client, "reconciler", name)

    def run_once(self) -> bool:
        """Wake due commands if this is the leader; return whether more are due than it took.

        Raises StateUnavailable and BrokerUnavailable; what was not published is due again later.
        """
        if not self._leader.leads():
            return False
        due = self._ledger.due(shards=self._look.shards())
        reach("due.after")
        self._publisher.publish(due.wakes)
        self._parcels.open_late(due.late)
        if due.wakes:
            self._log.info("due commands woken", commands=len(due.wakes))
        return due.more

    def step(self) -> float:
        started = time.monotonic()
        if not self.run_once():
            return self.interval
        # Remaining due commands are woken at once, but Redis, where a run spends most of its time,
        # is free for others at least half of the time.
        return min(self.interval, time.monotonic() - started)
