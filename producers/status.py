"""Status of the system: commands, queues, workers, archive, open breakers and lost data."""

from __future__ import annotations

from typing import Any

from celery import Celery

from signalbox.commands.breaker_report import BreakerReport
from signalbox.commands.ledger.era import LedgerEras
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.settings import Settings
from signalbox.commands.state import State
from signalbox.commands.wire import all_queues
from signalbox.producers.broker.publisher import broker_report
from signalbox.routing.audit.archive_mark import ArchiveMark
from signalbox.routing.registry.event_log import EventLog


def status_of(settings: Settings, state: State, app: Celery) -> dict[str, Any]:
    """Return the status as a document; takes a second, in which workers answer.

    Raises StateUnavailable and BrokerUnavailable.
    """
    mark, head = ArchiveMark(state).read(), EventLog(state).head()
    queues, workers = broker_report(app, all_queues(settings.tenant_shards))
    return {
        "ledger": Ledger(state, settings).totals(),
        "queues": queues,
        "workers": workers,
        "archive": {
            "revision": mark.revision,
            "of": head.revision,
            "waits_for": mark.waits_for,
        },
        "resting": BreakerReport(state).read(),
        "ledger_lost": LedgerEras(state).lost(),
    }
