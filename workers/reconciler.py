"""Wakes commands whose due time has come: lost wake-ups, dead workers, retries, hand-overs.

A thread in every worker, of which one at a time leads.
"""

from __future__ import annotations

import threading

import structlog
from celery import Celery

from commands.error import SignalboxError
from commands.ledger.ledger import Ledger
from commands.settings import Settings
from commands.state import connect, state_errors
from producers.publisher import Publisher

log = structlog.get_logger("signalbox.reconciler")

LEADER_KEY = "signalbox:reconciler"
LEADER_MS = 4000
"""A leader that died is followed by another within this time and a turn."""
TURN_SECONDS = 0.5

# Renewed by its holder, or taken when nobody holds it.
_LEAD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Reconciler:
    """Publishes due wake-ups again, a bounded number a turn."""

    def __init__(self, app: Celery, settings: Settings, name: str) -> None:
        self._client = connect(settings.state_url)
        self._ledger = Ledger(self._client, settings)
        self._publisher = Publisher(app)
        self._lead = self._client.register_script(_LEAD)
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def turn(self) -> int:
        """One turn, if this is the leader: how many commands were woken.

        Raises StateUnavailable, BrokerUnavailable; what was not published is due again later.
        """
        with state_errors():
            leads = self._lead(keys=[LEADER_KEY], args=[self._name, LEADER_MS])
        if not leads:
            return 0
        wakes = self._ledger.due()
        self._publisher.publish(wakes)
        if wakes:
            log.info("woken", commands=len(wakes))
        return len(wakes)

    def _run(self) -> None:
        while not self._stopped.wait(TURN_SECONDS):
            try:
                self.turn()
            except SignalboxError as error:
                log.warning("reconciler waits", error=str(error))
            except Exception:
                # Without this thread nothing lost would ever be found: it goes on.
                log.exception("reconciler turn failed")
