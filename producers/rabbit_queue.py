"""A queue on RabbitMQ that is taken as it is, where another client declared it first."""

from __future__ import annotations

from typing import Any

import structlog
from kombu.entity import Queue

log = structlog.get_logger("signalbox.broker")


class QuorumQueue(Queue):
    """Declared as a quorum queue; one that exists with other arguments is used all the same.

    RabbitMQ refuses such a declaration (406) and closes the channel, which would end every worker
    and hold up every producer of this queue, and of the others.
    """

    def queue_declare(
        self, nowait: bool = False, passive: bool = False, channel: Any = None
    ) -> Any:
        del nowait  # what the broker refuses is to be heard
        channel = channel or self.channel
        # On a channel of its own, which may be closed.
        trial = channel.connection.channel()
        try:
            answer = super().queue_declare(passive=passive, channel=trial)  # type: ignore[no-untyped-call]  # kombu has no types
        except channel.connection.channel_errors as error:
            if getattr(error, "code", None) != 406:
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
        return answer
