"""Lua scripts for the state Redis: loaded once, called by digest, many in one round trip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Self

from signalbox.commands.state import Call, State

_COMMAND = re.compile(r"redis\.p?call\(\s*'([A-Z]+)'")


class Script:
    """A Lua script, joined from the `.lua` files `names` of a package in this order."""

    def __init__(self, package: str, *names: str) -> None:
        folder = resources.files(package)
        self._keep("\n".join(folder.joinpath(name).read_text() for name in names))

    @classmethod
    def of(cls, source: str) -> Self:
        """Make a script from its source, for one too short for a file."""
        script = cls.__new__(cls)
        script._keep(source)
        return script

    def _keep(self, source: str) -> None:
        self.source = source
        # SHA-1 is Redis' own name for a script, not a safeguard.
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    @property
    def commands(self) -> frozenset[str]:
        """The commands that it calls, in lower case: a user that runs it needs leave for each."""
        return frozenset(name.lower() for name in _COMMAND.findall(self.source))

    def call(self, keys: Sequence[str], args: Sequence[Any]) -> Call:
        """Return the EVALSHA call for `State.run`."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)


def run_pipeline(
    state: State,
    calls: Sequence[Call],
    scripts: Sequence[Script],
    *,
    after: Sequence[Call] = (),
    durable: bool = False,
) -> list[Any]:
    """Send all calls, one round trip to each server; see `State.run`. Raises StateUnavailable."""
    return state.run(calls, scripts, after=after, durable=durable)
