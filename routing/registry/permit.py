"""Permits: privileged commands run only if someone who may write the registry has allowed them.

A producer can put any command on the queue and into the ledger. Probes, and appends to the streams
that Signalbox keeps for itself, are reserved for operators and workers. Before one is submitted,
its fingerprint is written beside the registry, where producers have no access (docs/security.md). A
worker runs such a command only if its fingerprint is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from signalbox.commands.error import ReservedStream
from signalbox.commands.event_stream import AppendEvent
from signalbox.commands.model import Command
from signalbox.commands.state import State
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.records import text_of

SYSTEM_TENANT = "t_system"
RESERVED_PREFIX = "signalbox."
_VALID = timedelta(days=1)


def is_reserved(command: Command) -> bool:
    """True if the command appends to a stream that Signalbox keeps for itself."""
    return (
        command.tenant_id == SYSTEM_TENANT
        and isinstance(command, AppendEvent)
        and command.stream.startswith(RESERVED_PREFIX)
    )


def reserved_stream(command: Command) -> ReservedStream:
    """Return the error for an append to a reserved stream without a permit."""
    return ReservedStream(
        f"{command.subject} of {command.tenant_id} is kept by Signalbox itself",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step=f"append to a stream whose name does not begin with `{RESERVED_PREFIX}`",
    )


class Permits:
    """Grants and checks permits, one round trip each. All methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def give(self, commands: Sequence[Command]) -> None:
        """Permit exactly these commands; a permit is valid for one day."""
        valid = int(_VALID.total_seconds())
        calls = [("SET", _key(c), c.fingerprint(), "EX", valid) for c in commands]
        self._client.run(calls, durable=True)

    def lacking(self, commands: Sequence[Command]) -> set[str]:
        """Return the refs of the commands that have no valid permit."""
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
