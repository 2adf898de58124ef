"""RabbitMQ queues that another client may have declared first with other arguments."""

from __future__ import annotations

from typing import Any

import structlog
from kombu.entity import Queue

from signalbox.commands.error import Unavailable

log = structlog.get_logger("signalbox.broker")


class QuorumQueue(Queue):
    """A quorum queue; an existing queue of the same name with other arguments is used as it is.

    RabbitMQ refuses a declaration with other arguments (406) and closes the channel, which would
    end every worker and block every producer. A queue that another connection uses exclusively
    (405) is left out until it is free; messages are still published to it, and the ledger wakes
    their commands again.
    """

    locked = False
    """True while another connection uses it exclusively; it is then neither bound nor consumed."""

    def queue_declare(
        self, nowait: bool = False, passive: bool = False, channel: Any = None
    ) -> Any:
        del nowait  # The broker's refusal must be received.
        channel = channel or self.channel
        # On a separate channel, which the broker may close.
        trial = channel.connection.channel()
        try:
            answer = super().queue_declare(passive=passive, channel=trial)  # type: ignore[no-untyped-call]  # kombu has no types
        except channel.connection.channel_errors as error:
            code = getattr(error, "code", None)
            if code == 405:
                self._leave_out()
                return None
            if code != 406:
                raise
            log.warning(
                "the queue was declared by another client, and not as a quorum queue: it is used "
                "as it is, and its messages are lost with the broker's node",
                queue=self.name,
                next_step="let that client set task_default_queue_type and "
                "task_create_missing_queue_type to quorum, delete the queue when it is empty, "
                "and start the workers anew",
            )
            return super().queue_declare(passive=True, channel=channel)  # type: ignore[no-untyped-call]  # kombu has no types
        trial.close()
        self.locked = False
        return answer

    def queue_bind(self, *arguments: Any, **keywords: Any) -> Any:
        if self.locked:
            return None
        return super().queue_bind(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types

    def consume(self, *arguments: Any, **keywords: Any) -> Any:
        if self.locked:
            return None
        return super().consume(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types

    def _leave_out(self) -> None:
        if self.locked:
            return  # logged before
        self.locked = True
        error = Unavailable(
            f"another client has the queue {self.name} to itself (RESOURCE_LOCKED)",
            next_step="close that client's connection, and let it declare the queue without "
            "`exclusive`, or keep it from declaring (docs/security.md); what waits is run then",
        )
        log.error(error.message, code=error.code, queue=self.name, next_step=error.next_step)
