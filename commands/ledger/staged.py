"""Which staged contents the ledger still has use for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import redis

from commands.ledger.shard import all_shards
from commands.script import run_pipeline
from commands.state import state_errors

_REF = re.compile(rb'"ref":\s*"([0-9a-f]{32})"')
_PAGE = 500


def staged_refs(client: redis.Redis) -> Iterator[str]:
    """The payload refs that open commands and dead letters name; reads all of them, in pages.

    Raises StateUnavailable.
    """
    for shard in all_shards():
        for index in ("due", "dead"):
            with state_errors():
                names: Any = client.zrange(f"{shard}:{index}", 0, -1)
            for start in range(0, len(names), _PAGE):
                page = [name.decode() for name in names[start : start + _PAGE]]
                calls = [("HGET", f"{shard}:op:{ref}", "cmd") for ref in page]
                for document in run_pipeline(client, calls, []):
                    for ref in _REF.findall(document or b""):
                        yield ref.decode()
