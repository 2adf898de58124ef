"""Wakes commands whose due time has come: lost wake-ups, dead workers, retries, hand-overs.

A thread in every worker, of which one at a time leads.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import structlog
from celery import Celery

from signalbox.commands.error import SignalboxError
from signalbox.commands.fault import reach
from signalbox.commands.ledger.due_look import DueLook
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.producers.publisher import Publisher
from signalbox.workers.leader import Leader

log = structlog.get_logger("signalbox.reconciler")

TURN_SECONDS = 0.5


class Reconciler:
    """Publishes due wake-ups again, a bounded number a turn."""

    def __init__(self, app: Celery, settings: Settings, name: str) -> None:
        self._client = connect_to(settings)
        self._ledger = Ledger(self._client, settings)
        self._parcels = Parcels(self._client, settings, self._ledger)
        grace = settings.publish_grace if settings.tenant_window else timedelta(0)
        self._look = DueLook(self._client, grace // timedelta(milliseconds=1))
        self._publisher = Publisher(app)
        self._leader = Leader(self._client, "reconciler", name)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def turn(self) -> bool:
        """One turn, if this is the leader: whether more is due than it took.

        Raises StateUnavailable, BrokerUnavailable; what was not published is due again later.
        """
        if not self._leader.leads():
            return False
        due = self._ledger.due(shards=self._look.shards())
        reach("due.after")
        self._publisher.publish(due.wakes)
        self._parcels.open_late(due.late)
        if due.wakes:
            log.info("woken", commands=len(due.wakes))
        return due.more

    def _run(self) -> None:
        pause = TURN_SECONDS
        while not self._stopped.wait(pause):
            pause, started = TURN_SECONDS, time.monotonic()
            try:
                if self.turn():
                    # What is due goes on at once, and Redis has at least half of its time for
                    # others: by far the most of a turn is spent here.
                    pause = min(TURN_SECONDS, time.monotonic() - started)
            except SignalboxError as error:
                log.warning("reconciler waits", error=str(error))
            except Exception:
                # Without this thread nothing lost would ever be found: it goes on.
                log.exception("reconciler turn failed")
