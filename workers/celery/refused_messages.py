"""Refused messages: stores them as dead letters, many in one round trip, then acknowledges them.

Storing them one by one would block the worker's event loop for two round trips each, one of which
waits for the state Redis' disk; a flood of them would delay all other messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from signalbox.commands.refused_message import Refusal
from signalbox.commands.wire import Fault
from signalbox.workers.execution.state_retry import wait_for_state

MAX_TOGETHER = 100
"""Maximum number of messages that are held."""
MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of the messages that are held, in bytes; the transport holds each, cut, until it is
acknowledged."""
TOGETHER_SECONDS = 0.1
"""Seconds for which the first one waits for others, if the broker delivers more meanwhile."""


class Burials:
    """Stores refused messages as dead letters, then acknowledges them. For the event loop alone.

    Held messages are not acknowledged, so none is lost when the worker ends.
    """

    def __init__(
        self, bury: Callable[[Sequence[Fault]], None], errors: tuple[type[Exception], ...]
    ) -> None:
        """`errors` are the transport's.

        The broker delivers unacknowledged messages again after them.
        """
        self._bury = bury
        self._errors = errors
        self._hub: Any = None
        self._held: list[tuple[Any, Refusal]] = []
        self._bytes = 0

    def begin(self, hub: Any) -> None:
        """Use this event loop, which has just started.

        Without one (None), messages are stored at once.
        """
        self._hub = hub
        if self._held and hub:
            hub.call_soon(self.flush)

    def take(self, message: Any, refused: Refusal) -> None:
        """Hold a refused message, and store all held ones if they are many."""
        self._held.append((message, refused))
        self._bytes += refused.document["bytes"]
        if not self._hub or len(self._held) >= MAX_TOGETHER or self._bytes >= MAX_BYTES:
            self.flush()
        elif set_aside := getattr(message.channel, "set_aside", None):
            set_aside(message.delivery_tag)
            if len(self._held) == 1:
                self._hub.call_later(TOGETHER_SECONDS, self.flush)
        elif len(self._held) == 1:
            # This broker delivers nothing beyond the prefetch: what may still come is read by then.
            self._hub.call_soon(self.flush)

    def flush(self) -> None:
        """Store the held messages and acknowledge them."""
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
        """Drop the held messages: their connection ended, and the broker delivers them again."""
        self._held, self._bytes = [], 0


class Quiet:
    """A logger that ignores failed acknowledgements: the broker delivers the message again."""

    def critical(self, *_: Any, **__: Any) -> None:
        return
