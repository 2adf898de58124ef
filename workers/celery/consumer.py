"""Celery's consumer, extended: a message that is not a valid command becomes a dead letter.

Messages are checked where the transport makes them (`producers/broker/message_check.py`); those
that it refused arrive at `on_decode_error`. The other cases in which Celery would discard a
message, or end the process because of one, are handled here, for transports of other kinds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer

from signalbox.commands.bounded_json import NEXT_STEP
from signalbox.commands.envelope import Stored
from signalbox.commands.error import InvalidCommand, SignalboxError, UnknownCommand
from signalbox.commands.refused_message import refusal
from signalbox.commands.wire import Fault, known_tasks
from signalbox.workers.celery.refused_messages import Burials, Quiet
from signalbox.workers.runtime import runtime, slots

log = structlog.get_logger("signalbox.worker")

EVENTS_SECONDS = 0.5
"""Seconds for which task events are collected before they are sent in one message. Celery sends
them at once, which takes a sixth of a worker's processor time."""


ROOM_SECONDS = 0.5
"""Seconds between two checks for slow slots."""

LOCKED_SECONDS = 10.0
"""Seconds between two checks of queues that another client uses exclusively."""


class SteadyConsumer(Consumer):
    """Makes a dead letter of a message that no task accepts, acknowledges it and continues."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        # No gossip or mingle: anyone with access to the broker could answer them.
        super().__init__(*arguments, **keywords, without_gossip=True, without_mingle=True)
        self._burials = Burials(self._keep_letters, self.connection_errors)

    def loop_args(self) -> tuple[Any, ...]:
        # Set up here, since a lost connection clears all timers.
        self._burials.begin(self.hub)
        if self.hub:
            self.hub.call_repeatedly(EVENTS_SECONDS, self._flush_events)
            if self.event_dispatcher:
                # Flushed by the event loop alone. With RabbitMQ's publisher confirms, a thread of
                # the pool that flushes waits for an answer that the loop reads, and the loop for
                # the thread's lock: the worker would stand still until its heartbeats are missed.
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
        """Take one more message for each slow slot, up to twice the number of slots."""
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
        """Consume each queue a second time: a quorum queue's prefetch is fixed for each consumer.

        Messages that the second consumer was given remain valid when it is cancelled.
        """
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
        """Consume queues that another client no longer uses exclusively."""
        consumer = self.task_consumer
        for queue in consumer._queues.values() if consumer else ():
            if _is_locked(queue):
                queue.declare()
                if not queue.locked:
                    consumer._active_tags.pop(queue.name, None)
                    consumer.consume()

    def on_send_event_buffered(self) -> None:
        """Do nothing: a timer flushes the events."""

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
                # Before the next clause, since Celery lists KeyError and similar among the broker's
                # errors.
                self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))
            except self.connection_errors + self.channel_errors:
                raise
            except RuntimeError as error:
                if state.should_stop is None and state.should_terminate is None:
                    self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))
                else:
                    # A stopping pool takes no more tasks; another worker will run it.
                    message.reject_log_error(Quiet(), self.connection_errors, requeue=True)
            except Exception as error:  # noqa: BLE001 - a message must never end the worker
                self._keep(message, InvalidCommand(_say(error), next_step=NEXT_STEP))

        return on_task_received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        self._burials.forget()
        # kombu 5.7 restores unacknowledged messages through a transport that it has just closed,
        # which then has no address. Without this the worker would end instead of reconnecting.
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
            log.warning("a remote control message was dropped", reason=_say(exc))
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
        runtime(self.app, self.hostname).executor.completer.bury(faults)


_CONTENT_ERRORS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)


def _is_locked(queue: Any) -> bool:
    return getattr(queue, "locked", False)


def _say(error: Exception) -> str:
    # Only the class: messages of decoders quote the data that they could not decode.
    return f"the message cannot be read ({type(error).__name__})"
