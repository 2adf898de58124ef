"""The fields of a record that depend on the command alone, however it came into the ledger."""

from __future__ import annotations

from typing import NamedTuple

from signalbox.commands.model import Command
from signalbox.commands.ref import Ref

SLOWEST_BYTES_PER_SECOND = 2 * 1024 * 1024
"""Bytes per second by which leases grow: with the size of a command's content, or with the content
that it has read."""


class RecordFields(NamedTuple):
    """The fields of a record that the command alone determines."""

    ref: Ref
    fingerprint: str
    op: str
    order: str
    """Name of its order in the shard; empty for commands without order."""
    text: str
    """The command as JSON."""
    extra_lease: int
    """Extra lease in milliseconds."""


def record_fields(command: Command) -> RecordFields:
    order = command.order_key
    return RecordFields(
        command.ref,
        command.fingerprint(),
        command.op,
        f"{command.tenant_id}/{command.env}/{order}" if order else "",
        command.model_dump_json(),
        extra_lease(command.size),
    )


def extra_lease(size: int) -> int:
    """Milliseconds by which a lease is longer for this size of content."""
    return size * 1000 // SLOWEST_BYTES_PER_SECOND
