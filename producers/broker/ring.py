"""Ring messages in the form of Celery's Redis transport, made without a connection to the broker.

If the broker is the state Redis, the script that accepts commands puts this message on the queue
itself, with one round trip and one disk sync for both.
"""

from __future__ import annotations

import base64
import json
import uuid

from celery import Celery

from signalbox.commands.settings import Settings
from signalbox.commands.wire import DRAIN, SUMMARY_HEADER, Ring, ring_document

_TASK_ID, _TAG = "0" * 32, "1" * 32


class RingMessages:
    """Makes ring messages as Celery's Redis transport stores them. Thread-safe."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        eager = bool(app.conf.task_always_eager)
        self.possible = settings.broker_is_state and not eager
        """True if the broker is the state Redis."""
        self._app = app
        self._templates: dict[Ring, str] = {}

    def message(self, shard: str, queue: str) -> str:
        """Return a message to push to the head of the list that is named like the queue."""
        ring = Ring((shard,), queue)
        template = self._templates.get(ring)
        if template is None:
            template = self._templates[ring] = self._template(ring)
        message = template.replace(_TASK_ID, str(uuid.uuid4()))
        return message.replace(_TAG, str(uuid.uuid4()))

    def _template(self, ring: Ring) -> str:
        headers, properties, body, _ = self._app.amqp.as_task_v2(
            _TASK_ID,
            DRAIN,
            kwargs=ring_document(ring),
            argsrepr="()",
            kwargsrepr=ring.summary,
        )
        return json.dumps(
            {
                "body": base64.b64encode(json.dumps(body).encode()).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": headers | {SUMMARY_HEADER: ring.summary},
                "properties": properties
                | {
                    "delivery_mode": 2,
                    "delivery_info": {"exchange": "", "routing_key": ring.queue},
                    "priority": 0,
                    "body_encoding": "base64",
                    "delivery_tag": _TAG,
                },
            }
        )
