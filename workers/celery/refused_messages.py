"""Refused messages on their way to become dead letters: many of them in one round trip.

Kept one by one, each would hold the worker's loop for two round trips, of which one waits for the
state Redis' disk; a flood of them would hold up whatever else the worker is to take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from signalbox.commands.refusal import Refusal
from signalbox.commands.wire import Fault
from signalbox.workers.execution.state_retry import wait_for_state

MAX_TOGETHER = 100
MAX_BYTES = 4 * 1024 * 1024
"""Of refused messages in memory: the transport holds each, cut, until it is acknowledged."""
TOGETHER_SECONDS = 0.1
"""So long the first one waits for others, where the broker hands more over meanwhile."""


class Burials:
    """Keeps refused messages as dead letters, then acknowledges them. For the loop alone.

    What it holds is not acknowledged, so a worker's end loses none of it.
    """

    def __init__(
        self, bury: Callable[[Sequence[Fault]], None], errors: tuple[type[Exception], ...]
    ) -> None:
        """`errors` are the transport's, after which it delivers again what it did not hear of."""
        self._bury = bury
        self._errors = errors
        self._hub: Any = None
        self._held: list[tuple[Any, Refusal]] = []
        self._bytes = 0

    def begin(self, hub: Any) -> None:
        """Use this loop, which has just begun; without one, nothing waits for others."""
        self._hub = hub
        if self._held and hub:
            hub.call_soon(self.flush)

    def take(self, message: Any, refused: Refusal) -> None:
        self._held.append((message, refused))
        self._bytes += refused.document["bytes"]
        if not self._hub or len(self._held) >= MAX_TOGETHER or self._bytes >= MAX_BYTES:
            self.flush()
        elif set_aside := getattr(message.channel, "set_aside", None):
            set_aside(message.delivery_tag)
            if len(self._held) == 1:
                self._hub.call_later(TOGETHER_SECONDS, self.flush)
        elif len(self._held) == 1:
            # This broker gives nothing beyond the prefetch: all that may come is read by then.
            self._hub.call_soon(self.flush)

    def flush(self) -> None:
        """Keep and acknowledge what is held."""
        held = self._held
        if not held:
            return
        self.forget()
        faults = [refused.fault() for _, refused in held]
        wait_for_state(lambda: self._bury(faults))
        messages = [message for message, _ in held]
        if together := getattr(messages[0].channel, "acknowledge", None):
            try:
                together([message.delivery_tag for message in messages])
            except self._errors:
                return
        else:
            for message in messages:
                message.ack_log_error(Quiet(), self._errors)

    def forget(self) -> None:
        """Their connection ends, and the broker delivers them again."""
        self._held, self._bytes = [], 0


class Quiet:
    """A logger for an acknowledgement that fails: the broker delivers the message again."""

    def critical(self, *_: Any, **__: Any) -> None:
        return
