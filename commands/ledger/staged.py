"""Staged contents: the deployment that they belong to, and which of them the ledger still needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.script import run_pipeline
from signalbox.commands.state import State

DEPLOYMENT_KEY = "signalbox:deployment"
_REF = re.compile(rb'"ref":\s*"([0-9a-f]{32})"')
_PAGE = 500


class Deployment:
    """Name of all processes that share a state Redis: 12 hexadecimal digits, made when first
    needed.

    Raises StateUnavailable then.
    """

    def __init__(self, client: State) -> None:
        self._client = client
        self._name = ""

    def __call__(self) -> str:
        if not self._name:
            calls = [("SETNX", DEPLOYMENT_KEY, os.urandom(6).hex()), ("GET", DEPLOYMENT_KEY)]
            self._name = self._client.run(calls, durable=True)[1].decode()
        return self._name


def staged_refs(client: State) -> Iterator[str]:
    """Return the payload refs that open commands and dead letters name; reads all of them, in
    pages.

    Raises StateUnavailable.
    """
    for shard in shards_of(client).tags:
        # In one step: a command that is replayed, or dies, stands in either, and in none between.
        both = [("ZRANGE", f"{shard}:{which}", 0, -1) for which in ("due", "dead")]
        due, dead = client.atomic(both)
        names = [name.decode() for name in (*due, *dead)]
        for start in range(0, len(names), _PAGE):
            for refs in refs_named_by(client, names[start : start + _PAGE]):
                yield from refs


def refs_named_by(client: State, commands: Sequence[str]) -> list[set[str]]:
    """Return the payload refs that each of these commands names, while it is open or dead.

    One round trip. Raises StateUnavailable.
    """
    shards = shards_of(client)
    calls = [("HGET", f"{shards.of(name)}:op:{name}", "cmd") for name in commands]
    documents = run_pipeline(client, calls, [])
    return [{ref.decode() for ref in _REF.findall(document or b"")} for document in documents]
