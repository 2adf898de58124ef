"""The messages on the queue: which queue, which task name, and what is in them.

A message carries either tickets (the command is in the ledger; what our client sends) or whole
commands (what a service without our client sends). `docs/wire-contract.md` says the same for
readers who do not use Python.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from commands.error import InvalidCommand, SignalboxError
from commands.ledger.entry import Intent, Ticket
from commands.model import Command
from commands.parse import known_ops, parse_command
from commands.scope import ENV_PATTERN, TENANT_PATTERN

BATCH = "commands.batch"
"""Task name of a message of many commands; one of a single command bears the command's op."""
MESSAGE_MOST = 100
"""Commands in one message of ours: it should fit well within one lease."""
MESSAGE_LIMIT = 1000
"""Commands in one message of anyone's."""
SUMMARY_HEADER = "signalbox_summary"
"""Message header: one line for monitoring, without content."""


def queue_of(command: Command, tenant_shards: int) -> str:
    """By kind and by tenant, so that a noisy tenant delays few others."""
    return f"{command.kind}.{zlib.crc32(command.tenant_id.encode()) % tenant_shards}"


def all_queues(tenant_shards: int) -> list[str]:
    """Every queue that a worker of this deployment consumes."""
    kinds = sorted({op.partition(".")[0] for op in known_ops()} | {"commands"})
    return [f"{kind}.{shard}" for kind in kinds for shard in range(tenant_shards)]


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    return {"ticket": 1, "op": ticket.op, "ref": ticket.ref}


@dataclass(frozen=True)
class Fault:
    """A document in a message that is no command of this release."""

    ref: str
    op: str
    document: Any
    error: SignalboxError


@dataclass(frozen=True)
class Message:
    """What one message asks for."""

    tickets: list[Ticket] = field(default_factory=list)
    carried: list[Intent] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def summary(self) -> str:
        """One line without content: what Flower may show."""
        lines = [i.command.summary() for i in self.carried]
        lines += [f"{t.op} ref={t.ref}" for t in self.tickets]
        lines += [f"{f.op} refused: {f.error.code}" for f in self.faults]
        return summarise(lines)


def summarise(lines: Sequence[str]) -> str:
    """The first few of many lines, with their number."""
    shown = "; ".join(lines[:3])
    return shown if len(lines) <= 3 else f"{len(lines)} commands: {shown}; …"


def read_message(task_name: str, task_id: str, body: Any, tenant_shards: int) -> Message:
    """Sort the documents of one message; what cannot be read becomes a fault, never an exception.

    A whole command without an `op_id` takes the task's id (and its place in a batch), which
    stays the same when the broker delivers the message again.
    """
    message = Message()
    documents = body if isinstance(body, list) else [body]
    if task_name == BATCH and (not isinstance(body, list) or len(body) > MESSAGE_LIMIT):
        error = InvalidCommand(
            f"`commands` must be a list of at most {MESSAGE_LIMIT} commands",
            next_step="see docs/wire-contract.md",
        )
        message.faults.append(Fault(f"-/-/{task_id}", BATCH, None, error))
        return message
    for index, document in enumerate(documents):
        default_id = task_id if task_name != BATCH else f"{task_id}.{index}"
        try:
            ticket = _read_ticket(document)
            if ticket is not None:
                message.tickets.append(ticket)
                continue
            if task_name != BATCH and isinstance(document, dict):
                document = {"op": task_name, **document}
            command = parse_command(document, default_op_id=default_id)
            message.carried.append(Intent(command, queue_of(command, tenant_shards)))
        except SignalboxError as error:
            op = document.get("op") if isinstance(document, dict) else None
            op = op if isinstance(op, str) else task_name
            message.faults.append(Fault(_fault_ref(document, default_id), op[:80], document, error))
    return message


def _read_ticket(document: Any) -> Ticket | None:
    if not isinstance(document, dict) or "ticket" not in document:
        return None
    ref, op = document.get("ref"), document.get("op")
    if not (isinstance(ref, str) and ref.count("/") == 2 and isinstance(op, str)):
        raise InvalidCommand(
            "the ticket has no valid ref and op", next_step="send the whole command instead"
        )
    return Ticket(ref, op)


def _fault_ref(document: Any, default_id: str) -> str:
    """Under the command's own name where its scope is readable, else under no tenant's."""
    if isinstance(document, dict):
        tenant_id, env = document.get("tenant_id"), document.get("env")
        if (
            isinstance(tenant_id, str)
            and isinstance(env, str)
            and TENANT_PATTERN.fullmatch(tenant_id)
            and ENV_PATTERN.fullmatch(env)
        ):
            op_id = document.get("op_id", default_id)
            if isinstance(op_id, str) and 0 < len(op_id) <= 128:
                return f"{tenant_id}/{env}/{op_id}"
            return f"{tenant_id}/{env}/{default_id}"
    return f"-/-/{default_id}"
