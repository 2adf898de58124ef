"""The Celery app of the workers: `celery -A workers.app worker`, or `signalbox worker`."""

from __future__ import annotations

from typing import Any

from celery import signals

from commands.settings import Settings
from producers.publisher import make_app
from workers.log import configure_logging
from workers.reconciler import Reconciler
from workers.tasks import register_tasks

app = make_app(Settings())
register_tasks(app)
_reconcilers: list[Reconciler] = []


@signals.setup_logging.connect(weak=False)
def _set_up_logging(**_: Any) -> None:
    configure_logging(Settings())


@signals.worker_ready.connect(weak=False)
def _start_reconciler(sender: Any, **_: Any) -> None:
    # In the worker's main process, once its pool has forked: threads do not survive a fork.
    reconciler = Reconciler(app, Settings(), sender.hostname)
    reconciler.start()
    _reconcilers.append(reconciler)
    if ready_file := Settings().ready_file:
        ready_file.touch()


@signals.worker_shutting_down.connect(weak=False)
def _stop_reconciler(**_: Any) -> None:
    for reconciler in _reconcilers:
        reconciler.stop()
