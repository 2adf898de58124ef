"""All Celery settings, each with its reason. Producers and workers load this one module."""

from __future__ import annotations

from typing import Any

from kombu.entity import Queue

from signalbox.commands.settings import Settings
from signalbox.commands.wire import all_queues
from signalbox.producers.broker.address import OURS
from signalbox.producers.broker.rabbit_queue import QuorumQueue

_redis_transport = {
    "unacked_restore_interval": 10,
    # One list per queue instead of four: commands have no priorities.
    "priority_steps": [0],
    # Every queue gets its turn, so that one tenant's backlog does not starve the others.
    "queue_order_strategy": "round_robin",
    # A broker that went away silently must not hold a worker or a producer for ever. A worker
    # finds its dead connections one after the other: at 15 s each it took a minute.
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

# A worker that is started before its broker waits for it.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# Nor is it ended by what the broker refuses, such as a queue that is another client's alone.
broker_channel_error_retry = True
# A producer does not wait for a broker that is away: the ledger holds the command already.
broker_connection_timeout = 2
task_publish_retry = False

# JSON alone: a message must never be able to run code, and other languages send it too.
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"
# Outcomes live in the ledger, where they cannot be lost between the effect and the result.
task_ignore_result = True
result_backend = None

# Acknowledged when finished. The ledger would recover a lost message anyway, but a whole
# command from a service without our client has only the broker until it is claimed.
task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure = True
task_acks_on_timeout = True
# The pool is chosen by `signalbox worker` (threads, 4 slots, as measured: docs/performance.md), and
# not here: Celery would take a pool that is set here for one that was asked for as prefork.
# One message in hand a slot: what a worker hoards, others could have run.
worker_prefetch_multiplier = 1

# That a new child is up is read in the loop, which stands still while the broker is away: with
# Celery's 4 s, children that were up were killed once it was back, for what nobody had read yet.
worker_proc_alive_timeout = 60.0

# A message that is none of ours becomes a dead letter instead of ending the worker.
worker_consumer = "signalbox.workers.celery.consumer:SteadyConsumer"

# By kind and tenant; the queues are listed, not made up, so a misspelt one is not consumed.
task_create_missing_queues = True
task_default_queue = "commands.0"

# Flower lives on these, Celery's own of tasks that run many commands and those of each command
# (workers/celery/task_events.py). Our own request class keeps content out of them.
worker_send_task_events = True
task_send_sent_event = False

# On SIGTERM what is running may finish; what does not is taken over by its lease.
worker_soft_shutdown_timeout = 20.0
worker_enable_soft_shutdown_on_idle = False
# Waiting commands stand in the ledger's own sorted set, never in a worker's memory as ETA.
worker_eta_task_limit = 100
# structlog writes the lines; Celery must not rearrange them.
worker_hijack_root_logger = False
worker_redirect_stdouts = False
timezone = "UTC"


def settings_of(settings: Settings) -> dict[str, Any]:
    """Those that follow our own: one process may have apps on several brokers."""
    url = settings.broker_url
    on_rabbitmq = url.startswith(("amqp", "pyamqp"))
    on_redis = url.startswith(("redis", "unix", "sentinel"))
    # The shortest one among the apps that share a broker wins, so it is set in every place.
    # Our leases are shorter: what a dead worker held is woken by the ledger long before.
    visible = {"visibility_timeout": int(settings.visibility_timeout.total_seconds())}
    # A publish that RabbitMQ has not confirmed may be lost with its node.
    other_transport = {"confirm_publish": True} if on_rabbitmq else {}
    options = _redis_transport | visible if on_redis else other_transport
    return {
        "broker_url": url,
        "broker_transport_options": options | {OURS: True},
        "result_backend_transport_options": visible,
        **visible,
        # RabbitMQ keeps a quorum queue on disk and on a majority of its nodes; a classic one is
        # lost with its node. Celery finds the type, and sets the prefetch for each consumer, as
        # these need it.
        "task_queues": [
            QuorumQueue(name, queue_arguments={"x-queue-type": "quorum"})  # type: ignore[no-untyped-call]  # kombu has no types
            if on_rabbitmq
            else Queue(name)  # type: ignore[no-untyped-call]  # kombu has no types
            for name in all_queues(settings.tenant_shards)
        ],
    }
