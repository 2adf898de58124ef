"""Celery's consumer, made steady: a message that is none of ours becomes a dead letter.

Stock Celery discards some malformed messages, prints their content, and ends its process on
others, which then come back to end the next worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer

from commands.error import InvalidCommand, SignalboxError, UnknownCommand
from commands.parse import known_ops
from commands.wire import Fault
from workers.patience import wait_for_state
from workers.runtime import runtime

HELD_BYTES = 64 * 1024
"""Of a message that cannot be read, so much is kept for whoever looks into it."""


EVENTS_SECONDS = 0.2
"""So long the events of tasks are collected for whoever watches: one message to the broker for
all of them. Celery sends them at once, for a sixth of the processor time of a worker."""


class SteadyConsumer(Consumer):
    """Keeps what it cannot hand to a task, acknowledges it, and goes on."""

    def loop_args(self) -> tuple[Any, ...]:
        # Here, since a lost connection clears all timers.
        if self.hub:
            self.hub.call_repeatedly(EVENTS_SECONDS, self._flush_events)
        arguments: tuple[Any, ...] = super().loop_args()
        return arguments

    def on_send_event_buffered(self) -> None:
        """Nothing: they go out when their time has come."""

    def stop(self) -> None:
        with suppress(*self.connection_errors):
            self._flush_events()
        super().stop()

    def create_task_handler(self, *arguments: Any, **keywords: Any) -> Callable[[Any], None]:
        receive = super().create_task_handler(*arguments, **keywords)

        def on_task_received(message: Any) -> None:
            try:
                receive(message)
            except _CONTENT_ERRORS as error:
                # First: Celery counts KeyError and its like among the broker's own errors.
                self._keep(message, InvalidCommand(_say(error), next_step=_NEXT))
            except self.connection_errors + self.channel_errors:
                raise
            except RuntimeError as error:
                if state.should_stop is None and state.should_terminate is None:
                    self._keep(message, InvalidCommand(_say(error), next_step=_NEXT))
                else:
                    # A pool that is stopping takes nothing more; another worker will.
                    message.reject_log_error(_Quiet(), self.connection_errors, requeue=True)
            except Exception as error:  # noqa: BLE001 - whatever a message does, the worker lives
                self._keep(message, InvalidCommand(_say(error), next_step=_NEXT))

        return on_task_received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        # kombu 5.7 restores what it has in hand through a transport that it has just closed, which
        # then has no address: without this the worker ends, when it should only connect again.
        with suppress(AttributeError):
            super().on_connection_error_after_connected(exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._keep(message, InvalidCommand("the message names no task", next_step=_NEXT))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        known = ", ".join(sorted(known_ops()))
        self._keep(message, UnknownCommand("no such task", next_step=f"use one of: {known}"))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._keep(message, InvalidCommand(_say(exc), next_step=_NEXT))

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._keep(message, InvalidCommand(_say(exc), next_step=_NEXT))

    def _keep(self, message: Any, error: SignalboxError) -> None:
        headers = message.headers if isinstance(message.headers, dict) else {}
        name = headers.get("id") or message.delivery_tag
        name = name if isinstance(name, str) and name.isascii() and len(name) <= 128 else "unnamed"
        task = headers.get("task")
        document = {
            "task": task if isinstance(task, str) else None,
            "content_type": str(message.content_type),
            "body": _text(message.body)[:HELD_BYTES],
        }
        finisher = runtime(self.app, self.hostname).executor.finisher
        fault = Fault(f"-/-/{name.replace('/', '_')}", "message", document, error)
        wait_for_state(lambda: finisher.bury([fault]))
        message.ack_log_error(_Quiet(), self.connection_errors)


_CONTENT_ERRORS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError)
_NEXT = "see docs/wire-contract.md; the message is kept as a dead letter"


class _Quiet:
    """A logger for an acknowledgement that fails: the broker delivers the message again."""

    def critical(self, *_: Any, **__: Any) -> None:
        return


def _say(error: Exception) -> str:
    # The class alone: messages of decoders quote what they could not decode.
    return f"the message cannot be read ({type(error).__name__})"


def _text(body: Any) -> str:
    if isinstance(body, bytes | memoryview):
        return bytes(body).decode("utf-8", "backslashreplace")
    return body if isinstance(body, str) else json.dumps(body, default=repr)
