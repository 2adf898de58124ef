"""Celery's consumer, made steady: a message that is none of ours becomes a dead letter.

Messages are judged where the transport makes them (`producers/broker/message_check.py`); what was
refused there comes to `on_decode_error`. The other ways in which stock Celery discards a message,
or ends its process on one, are closed here, should a transport of another kind be used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer

from signalbox.commands.envelope import NEXT_STEP, Stored
from signalbox.commands.error import InvalidCommand, SignalboxError, UnknownCommand
from signalbox.commands.refusal import refusal
from signalbox.commands.wire import Fault, known_tasks
from signalbox.workers.celery.refused_messages import Burials, Quiet
from signalbox.workers.runtime import runtime, slots

log = structlog.get_logger("signalbox.worker")

EVENTS_SECONDS = 0.2
"""So long the events of tasks are collected for whoever watches: one message to the broker for
all of them. Celery sends them at once, for a sixth of the processor time of a worker."""


ROOM_SECONDS = 0.5
"""So often slow slots are looked for."""

LOCKED_SECONDS = 10.0
"""So often queues are asked for that another client has to itself."""


class SteadyConsumer(Consumer):
    """Keeps what it cannot hand to a task, acknowledges it, and goes on."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        # Nothing is asked of other workers: what they answer, anyone could.
        super().__init__(*arguments, **keywords, without_gossip=True, without_mingle=True)
        self._burials = Burials(self._keep_letters, self.connection_errors)

    def loop_args(self) -> tuple[Any, ...]:
        # Here, since a lost connection clears all timers.
        self._burials.begin(self.hub)
        if self.hub:
            self.hub.call_repeatedly(EVENTS_SECONDS, self._flush_events)
            if self.event_dispatcher:
                # By the loop alone. With publishes that RabbitMQ confirms, a thread of the pool
                # that flushes waits for an answer which the loop reads, and the loop for the
                # thread's lock: the worker stands still until its heartbeats are missed.
                self.event_dispatcher.buffer_limit = sys.maxsize
            self.hub.call_repeatedly(LOCKED_SECONDS, self._take_freed)
            if hasattr(self.pool, "make_room"):
                self._replaced = 0
                self._relief: Any = None
                slots.board.number = self.pool.limit
                self.hub.call_repeatedly(ROOM_SECONDS, self._make_room)
        arguments: tuple[Any, ...] = super().loop_args()
        return arguments

    def _make_room(self) -> None:
        """Take a message more for each slot that is held long, up to twice the slots."""
        replaced = min(slots.slow(), slots.board.number)
        if replaced == self._replaced:
            return
        if replaced and self.connection.transport.driver_type == "amqp":
            self._consume_twice()
        elif self._relief is not None:
            self._relief.cancel()
            self._relief = None
        self.pool.make_room(replaced)
        if replaced > self._replaced:
            self.qos.increment_eventually(replaced - self._replaced)
        else:
            self.qos.decrement_eventually(self._replaced - replaced)
        self._replaced = replaced

    def _consume_twice(self) -> None:
        """As a second consumer of each queue: a quorum queue's prefetch is a consumer's own, and
        fixed. What it was given stays valid when it is gone."""
        if self._relief is None:
            first = self.task_consumer
            self._relief = self.app.amqp.TaskConsumer(
                first.channel,
                queues=[queue for queue in first._queues.values() if not _is_locked(queue)],
                auto_declare=False,
                on_decode_error=self.on_decode_error,
                on_message=first.on_message,
                tag_prefix="relief",
            )
            self._relief.consume()

    def _take_freed(self) -> None:
        """Consume queues that another client had to itself, and has no more."""
        consumer = self.task_consumer
        for queue in consumer._queues.values() if consumer else ():
            if _is_locked(queue):
                queue.declare()
                if not queue.locked:
                    consumer._active_tags.pop(queue.name, None)
                    consumer.consume()

    def on_send_event_buffered(self) -> None:
        """Nothing: they go out when their time has come."""

    def stop(self) -> None:
        with suppress(*self.connection_errors):
            self._flush_events()
        self._burials.forget()
        super().stop()

    def create_task_handler(self, *arguments: Any, **keywords: Any) -> Callable[[Any], None]:
        receive = super().create_task_handler(*arguments, **keywords)

        def on_task_received(message: Any) -> None:
            try:
                receive(message)
            except _CONTENT_ERRORS as error:
                # First: Celery counts KeyError and its like among the broker's own errors.
                self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))
            except self.connection_errors + self.channel_errors:
                raise
            except RuntimeError as error:
                if state.should_stop is None and state.should_terminate is None:
                    self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))
                else:
                    # A pool that is stopping takes nothing more; another worker will.
                    message.reject_log_error(Quiet(), self.connection_errors, requeue=True)
            except Exception as error:  # noqa: BLE001 - whatever a message does, the worker lives
                self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))

        return on_task_received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        self._burials.forget()
        # kombu 5.7 restores what it has in hand through a transport that it has just closed, which
        # then has no address: without this the worker ends, when it should only connect again.
        with suppress(AttributeError):
            super().on_connection_error_after_connected(exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._keep(message, InvalidCommand("the message names no task", next_step=NEXT_STEP))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        known = ", ".join(known_tasks())
        self._keep(message, UnknownCommand("no such task", next_step=f"use one of: {known}"))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._keep(message, InvalidCommand(_say(exc), next_step=NEXT_STEP))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        if getattr(message, "control", False):
            log.warning("a message of remote control was dropped", reason=_say(exc))
        elif (refused := getattr(message, "refusal", None)) is not None:
            self._burials.take(message, refused)
        else:
            self._keep(message, InvalidCommand(_say(exc), next_step=NEXT_STEP))

    def _keep(self, message: Any, error: SignalboxError) -> None:
        body = message.body
        raw = body.encode("utf-8", "backslashreplace") if isinstance(body, str) else bytes(body)
        stored = Stored(raw, message.content_type, None, message.headers, {})
        self._burials.take(message, refusal(error, raw, stored))

    def _keep_letters(self, faults: Sequence[Fault]) -> None:
        runtime(self.app, self.hostname).executor.finisher.bury(faults)


_CONTENT_ERRORS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


def _is_locked(queue: Any) -> bool:
    return getattr(queue, "locked", False)


def _say(error: Exception) -> str:
    # The class alone: messages of decoders quote what they could not decode.
    return f"the message cannot be read ({type(error).__name__})"
