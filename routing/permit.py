"""Leave for single commands, given by who may write the registry.

A producer may put any command on the queue, and into the ledger. Some are an operator's or a
worker's own alone: probes, and appends to the streams that Signalbox keeps for itself. Whoever
submits such a command writes its digest beside the registry first, which producers are kept from
(docs/security.md); a worker runs it if what it claimed has that digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from signalbox.commands.error import ReservedStream
from signalbox.commands.event_stream import AppendEvent
from signalbox.commands.model import Command
from signalbox.commands.state import State
from signalbox.routing.log import TAG
from signalbox.routing.row import text_of

SYSTEM_TENANT = "t_system"
RESERVED_PREFIX = "signalbox."
_VALID = timedelta(days=1)


def is_reserved(command: Command) -> bool:
    """Whether it appends to a stream that Signalbox keeps for itself."""
    return (
        command.tenant_id == SYSTEM_TENANT
        and isinstance(command, AppendEvent)
        and command.stream.startswith(RESERVED_PREFIX)
    )


def reserved_stream(command: Command) -> ReservedStream:
    """An append to such a stream by anyone else."""
    return ReservedStream(
        f"{command.subject} of {command.tenant_id} is kept by Signalbox itself",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step=f"append to a stream whose name does not begin with `{RESERVED_PREFIX}`",
    )


class Permits:
    """Gives leave and asks for it, one round trip each. Methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def give(self, commands: Sequence[Command]) -> None:
        """Let just these commands run, within a day."""
        valid = int(_VALID.total_seconds())
        calls = [("SET", _key(c), c.fingerprint(), "EX", valid) for c in commands]
        self._client.run(calls, durable=True)

    def lacking(self, commands: Sequence[Command]) -> set[str]:
        """The refs of those that nobody gave leave for."""
        if not commands:
            return set()
        found = self._client.call("MGET", *map(_key, commands))
        return {
            command.ref
            for command, digest in zip(commands, found, strict=True)
            if digest is None or text_of(digest) != command.fingerprint()
        }


def _key(command: Command) -> str:
    return f"{TAG}:permit:{command.ref}"
