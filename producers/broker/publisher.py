"""The publisher: puts messages that name accepted commands on the queue.

The only producer of Celery messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from amqp.exceptions import AMQPError
from celery import Celery
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis import RedisError

from signalbox import celeryconfig
from signalbox.commands.error import BrokerUnavailable
from signalbox.commands.ledger.entry import Wake
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.settings import Settings
from signalbox.commands.tls import check_tls_files, tls_step
from signalbox.commands.wire import (
    BATCH,
    DRAIN,
    MAX_MESSAGE,
    MAX_RING,
    SUMMARY_HEADER,
    Ring,
    ring_document,
    summarise,
    ticket_document,
)
from signalbox.producers.broker.address import check_broker
from signalbox.producers.broker.redis_transport import use_one_client_a_channel

log = structlog.get_logger("signalbox.publisher")


def make_app(settings: Settings) -> Celery:
    """Make the Celery app with which producers and workers reach the broker.

    Raises InvalidSetting if Celery has no transport for the broker's address.
    """
    check_broker(settings.broker_url)
    check_tls_files(settings.broker_url, "SIGNALBOX_BROKER_URL")
    if settings.broker_url.startswith(("amqp", "pyamqp")):
        from signalbox.producers.broker.rabbit_transport import use_checked_messages

        use_checked_messages()
    else:
        use_one_client_a_channel()
    app = Celery("signalbox")
    app.config_from_object(celeryconfig)
    app.conf.update(celeryconfig.settings_of(settings))
    return app


class Publisher:
    """Publishes the messages that wake commands, many commands in a message."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, wakes: Sequence[Wake], summaries: Sequence[str] = ()) -> None:
        """Publish a message for every 100 commands of a queue and group.

        `summaries` describe the commands for Flower, one for each of `wakes`. Raises
        BrokerUnavailable; the reconciler wakes what was not published.
        """
        lines = summaries or [f"{wake.ticket.op} ref={wake.ticket.ref}" for wake in wakes]
        for ring in _rings(wakes):
            self._send(ring.queue, DRAIN, ring_document(ring), ring.summary)
        groups: dict[tuple[str, str], list[tuple[Wake, str]]] = {}
        for wake, line in zip(wakes, lines, strict=True):
            if wake.ticket.op == DRAIN:
                continue
            groups.setdefault((wake.queue, wake.group), []).append((wake, line))
        for (queue, _), entries in groups.items():
            for run in batched(entries, MAX_MESSAGE):
                documents = [ticket_document(wake.ticket) for wake, _ in run]
                summary = summarise([line for _, line in run])
                if len(run) == 1:
                    self._send(queue, run[0][0].ticket.op, {"command": documents[0]}, summary)
                else:
                    self._send(queue, BATCH, {"commands": documents}, summary)

    def publish_or_leave(self, wakes: Sequence[Wake], summaries: Sequence[str] = ()) -> None:
        """Publish.

        If the broker is unavailable, log it and leave the commands to the reconciler.
        """
        try:
            self.publish(wakes, summaries)
        except BrokerUnavailable as error:
            log.warning("wake-up left to the reconciler", commands=len(wakes), error=str(error))

    def _send(self, queue: str, name: str, body: Mapping[str, Any], summary: str) -> None:
        headers = {SUMMARY_HEADER: summary}
        if self._app.conf.task_always_eager:
            # `send_task` ignores eager mode; the registered task does not.
            self._app.tasks[name].apply(([], body), headers=headers)
            return
        try:
            self._app.send_task(
                name,
                kwargs=dict(body),
                queue=queue,
                headers=headers,
                argsrepr="()",
                kwargsrepr=summary,
            )
        except (BrokerError, KombuError, AMQPError, OSError) as error:
            raise BrokerUnavailable(
                f"the broker did not take the message: {error}",
                next_step=tls_step(error, "SIGNALBOX_BROKER_URL")
                or "start it, or set SIGNALBOX_BROKER_URL; accepted commands are not lost",
            ) from error


def _rings(wakes: Sequence[Wake]) -> Iterator[Ring]:
    """Yield ring messages for the queues and shards among `wakes`, many shards in one message.

    A shard that is named twice needs two workers, so it is put into two messages.
    """
    times = Counter[tuple[str, str]]()
    groups: dict[tuple[str, int], list[str]] = {}
    for wake in wakes:
        if wake.ticket.op == DRAIN:
            queue, shard = wake.queue, wake.ticket.ref
            groups.setdefault((queue, times[queue, shard]), []).append(shard)
            times[queue, shard] += 1
    for (queue, _), shards in groups.items():
        for run in batched(shards, MAX_RING):
            yield Ring(tuple(run), queue)


def broker_report(app: Celery, queues: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Return the number of messages in each queue, and the workers that answer within 1 s.

    Raises BrokerUnavailable.
    """
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            lengths = {}
            for name in queues:
                try:
                    lengths[name] = channel.queue_declare(name, passive=True).message_count
                except connection.channel_errors:
                    lengths[name] = 0
                    channel = connection.channel()
        answers = app.control.ping(timeout=1.0)
    except (BrokerError, KombuError, AMQPError, RedisError, OSError) as error:
        raise BrokerUnavailable(
            f"the broker does not answer: {error}",
            next_step=tls_step(error, "SIGNALBOX_BROKER_URL")
            or "start it, or set SIGNALBOX_BROKER_URL",
        ) from error
    return lengths, sorted(name for answer in answers for name in answer)
