"""Staged contents: whose they are, and which of them the ledger still has use for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from commands.ledger.shard import all_shards, shard_of
from commands.script import run_pipeline
from commands.state import state_errors

DEPLOYMENT_KEY = "signalbox:deployment"
_REF = re.compile(rb'"ref":\s*"([0-9a-f]{32})"')
_PAGE = 500


class Deployment:
    """The name of all that share a state Redis: 12 hexadecimal digits, made when first asked for.

    Raises StateUnavailable then.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._name = ""

    def __call__(self) -> str:
        if not self._name:
            with state_errors():
                self._client.set(DEPLOYMENT_KEY, os.urandom(6).hex(), nx=True)
                found: Any = self._client.get(DEPLOYMENT_KEY)
            self._name = found.decode()
        return self._name


def staged_refs(client: redis.Redis) -> Iterator[str]:
    """The payload refs that open commands and dead letters name; reads all of them, in pages.

    Raises StateUnavailable.
    """
    for shard in all_shards():
        # In one step: a command that is replayed, or dies, stands in either, and in none between.
        with state_errors(), client.pipeline(transaction=True) as both:
            both.zrange(f"{shard}:due", 0, -1)
            both.zrange(f"{shard}:dead", 0, -1)
            due, dead = both.execute()
        names = [name.decode() for name in (*due, *dead)]
        for start in range(0, len(names), _PAGE):
            for refs in refs_named_by(client, names[start : start + _PAGE]):
                yield from refs


def refs_named_by(client: redis.Redis, commands: Sequence[str]) -> list[set[str]]:
    """The payload refs that each of these commands names, while it is open or dead; one round trip.

    Raises StateUnavailable.
    """
    calls = [("HGET", f"{shard_of(name)}:op:{name}", "cmd") for name in commands]
    documents = run_pipeline(client, calls, [])
    return [{ref.decode() for ref in _REF.findall(document or b"")} for document in documents]
