"""The workers' Celery app: `signalbox worker`, or `celery -A signalbox.workers.app worker`."""

from __future__ import annotations

import sys
from typing import Any

from billiard.process import current_process  # type: ignore[import-untyped]  # it has no types
from celery import signals

from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.layout import check_at_start
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app
from signalbox.workers.celery.pool import use_steady_pools
from signalbox.workers.celery.preloader import Preloader
from signalbox.workers.celery.remote_control import guard_remote_control
from signalbox.workers.execution.command_log import configure_logging
from signalbox.workers.gc_freeze import keep_what_is_loaded
from signalbox.workers.maintenance.archiver import Archiver
from signalbox.workers.maintenance.background_service import BackgroundService
from signalbox.workers.maintenance.cleaner import Cleaner
from signalbox.workers.maintenance.heartbeat import Heartbeat, PoolProbe
from signalbox.workers.maintenance.pacer import Pacer
from signalbox.workers.maintenance.reconciler import Reconciler
from signalbox.workers.runtime import close_suspects, close_task_events, runtime
from signalbox.workers.tasks import register_tasks

use_steady_pools()
app = make_app(Settings())
register_tasks(app)
guard_remote_control(app, Settings())
_background: list[BackgroundService] = []
_preloader = Preloader(Settings())
_names: list[str] = []


@signals.setup_logging.connect(weak=False)
def _set_up_logging(**_: Any) -> None:
    configure_logging(Settings())


@signals.worker_init.connect(weak=False)
def _check_ledger(**_: Any) -> None:
    try:
        check_at_start(Settings(), is_worker=True)
    except SignalboxError as error:
        sys.exit(f"{error.code} {error}")  # Celery logs any other exception, and goes on.


@signals.worker_init.connect(weak=False)
def _learn_name(sender: Any, **_: Any) -> None:
    _names[:] = [sender.hostname]


@signals.worker_before_create_process.connect(weak=False)
def _prepare_fork(**_: Any) -> None:
    _preloader.before_fork()


@signals.worker_process_init.connect(weak=False)
def _set_up_child(**_: Any) -> None:
    # Build the runtime here: otherwise the child's first command would wait for it.
    runtime(app, *_names, child=current_process().index)


@signals.worker_ready.connect(weak=False)
def _start_background(sender: Any, **_: Any) -> None:
    # In the worker's main process, after its pool has forked: threads do not survive a fork.
    settings = Settings()
    _background.append(Reconciler(app, settings, sender.hostname))
    _background.append(Pacer(app, settings, sender.hostname))
    _background.append(Archiver.of(settings, sender.hostname))
    _background.append(Cleaner(settings, sender.hostname))
    _background.append(Heartbeat(settings, sender.hostname, PoolProbe(sender.pool)))
    for each in _background:
        each.start()
    keep_what_is_loaded()
    if ready_file := settings.ready_file:
        ready_file.touch()


@signals.worker_shutting_down.connect(weak=False)
def _stop_background(**_: Any) -> None:
    for each in _background:
        each.stop()


@signals.worker_shutting_down.connect(weak=False)
def _end_suspects(**_: Any) -> None:
    close_suspects()


@signals.worker_shutdown.connect(weak=False)
@signals.worker_process_shutdown.connect(weak=False)
def _tell_last_ends(**_: Any) -> None:
    close_task_events()
