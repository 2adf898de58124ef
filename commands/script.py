"""Lua scripts in the state Redis: loaded once, called by digest, many in one round trip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import redis

from commands.state import state_errors


class Script:
    """A `.lua` file beside the module that calls it, behind those whose functions it uses."""

    def __init__(self, package: str, *names: str) -> None:
        folder = resources.files(package)
        self.source = "\n".join(folder.joinpath(name).read_text() for name in names)
        # SHA-1 is Redis' own name for a script, not a safeguard.
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], args: Sequence[Any]) -> tuple[Any, ...]:
        """The EVALSHA command for a pipeline."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)


def run_pipeline(
    client: redis.Redis, calls: Sequence[tuple[Any, ...]], scripts: Sequence[Script]
) -> list[Any]:
    """Send all calls in one round trip and return their answers in order.

    A server that does not know a script yet (first use, or restarted without it) is given the
    scripts, and only the calls that it refused are sent again. Raises StateUnavailable.
    """
    with state_errors():
        answers = _send(client, calls)
        refused = [
            index
            for index, answer in enumerate(answers)
            if isinstance(answer, redis.exceptions.NoScriptError)
        ]
        if refused:
            for script in scripts:
                client.script_load(script.source)
            # From the first refused call on: what stands behind it may rely on its effect
            # (the fence is read after the claim), and every script is safe to repeat.
            first = refused[0]
            answers[first:] = _send(client, calls[first:])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
    return answers


def _send(client: redis.Redis, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipeline:
        for call in calls:
            pipeline.execute_command(*call)  # type: ignore[no-untyped-call]  # untyped in redis-py
        return pipeline.execute(raise_on_error=False)
