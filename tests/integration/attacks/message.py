"""Messages as Celery's Redis transport has them on a queue."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any


def message(documents: list[Any], *, single: bool, queue: str = "object_store.0") -> bytes:
    """One that holds these in place of commands, under any id."""
    task = "object_store.put" if single else "commands.batch"
    keywords = {"command": documents[0]} if single else {"commands": documents}
    tag = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([[], keywords, {}]).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"lang": "py", "task": task, "id": str(uuid.uuid4())},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": tag,
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }
    ).encode()
