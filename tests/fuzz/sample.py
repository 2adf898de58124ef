"""A message for the fuzzer, in parts, and as either broker stores it."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from amqp.basic_message import Message as RawMessage

QUEUE = "object_store.0"


@dataclass
class Sample:
    """Parts may be of any type that their broker can hold; a good message unless one is changed."""

    task: str = "object_store.head"
    headers: Any = None
    properties: Any = None
    body: bytes = b""
    content_type: Any = "application/json"
    content_encoding: Any = "utf-8"
    changes: list[str] = field(default_factory=list)
    """What was done to it, for whoever looks for a cause."""
    item: bytes | None = None
    """What stands in Redis' list, in place of all parts."""
    raw_properties: bytes | None = None
    """What RabbitMQ is sent as properties, in place of headers and properties."""

    def stored(self) -> bytes:
        """As kombu stores a message in Redis."""
        if self.item is not None:
            return self.item
        envelope = {
            "body": base64.b64encode(self.body).decode(),
            "content-encoding": self.content_encoding,
            "content-type": self.content_type,
            "headers": self.headers,
            "properties": self.properties,
        }
        return json.dumps(envelope).encode()

    def published(self) -> RawMessage | None:
        """For RabbitMQ; None where its protocol cannot hold such parts."""
        if self.raw_properties is not None:
            return OddMessage(self.body, self.raw_properties)
        if self.item is not None:
            return RawMessage(self.item)
        message = RawMessage(
            self.body,
            content_type=self.content_type,
            content_encoding=self.content_encoding,
            application_headers=self.headers,
            delivery_mode=2,
        )
        try:
            # RabbitMQ takes them in one frame, and closes the connection over a larger one.
            if len(message._serialize_properties()) > 60_000:
                return None
        except Exception:  # noqa: BLE001 - py-amqp has many ways to say so
            return None
        return message


class OddMessage(RawMessage):  # type: ignore[misc]  # amqp has no types
    """Properties as given, whatever they say."""

    def __init__(self, body: bytes, raw: bytes) -> None:
        super().__init__(body)
        self._raw = raw

    def _serialize_properties(self) -> bytes:
        return self._raw


def good(task_id: str, key: str = "k", *, batch: bool = False) -> Sample:
    """A read, which leaves one trace: it is accepted."""
    command = {"op": "object_store.head", "tenant_id": "t_fuzz", "env": "dev", "key": key}
    task = "object_store.head"
    call: dict[str, Any] = {"command": command}
    if batch:
        task, call = "commands.batch", {"commands": [command]}
    headers: dict[str, Any] = {
        "lang": "py", "task": task, "id": task_id, "shadow": None, "eta": None, "expires": None,
        "group": None, "group_index": None, "retries": 0, "timelimit": [None, None],
        "root_id": task_id, "parent_id": None, "argsrepr": "()", "kwargsrepr": "{}",
        "origin": "gen1@host", "ignore_result": False, "replaced_task_nesting": 0,
        "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties = {
        "correlation_id": task_id,
        "reply_to": str(uuid.UUID(int=1)),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": task_id,
    }
    options = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([[], call, options]).encode()
    return Sample(task, headers, properties, body)
