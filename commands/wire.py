"""The messages on the queue: which queue, which task name, and what is in them.

A message carries either tickets (the command is in the ledger; what our client sends) or whole
commands (what a service without our client sends). `docs/wire-contract.md` says the same for
readers who do not use Python.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.ledger.shard import is_tag
from signalbox.commands.model import OP_ID_PATTERN, Command
from signalbox.commands.parse import known_ops, parse_command
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.scope import ENV_PATTERN, TENANT_PATTERN

BATCH = "commands.batch"
"""Task name of a message of many commands; one of a single command bears the command's op."""
DRAIN = "commands.drain"
"""Task name of a message that rings for a worker: something is ready in a queue's parcels."""
MAX_MESSAGE = 100
"""Commands in one message of ours: it should fit well within one lease."""
MAX_RING = 8
"""Shards that one message rings for: what many tenants have ready is taken and ended together, and
still by several workers."""
MESSAGE_LIMIT = 1000
"""Commands in one message of anyone's."""
_REF = re.compile(
    f"(?:{TENANT_PATTERN.pattern})/(?:{ENV_PATTERN.pattern})/(?:{OP_ID_PATTERN})", re.ASCII
)
SUMMARY_HEADER = "signalbox_summary"
"""Message header: one line for monitoring, without content."""


def queue_of(command: Command, tenant_shards: int) -> str:
    """By kind and by tenant, so that a noisy tenant delays few others."""
    return f"{command.kind}.{zlib.crc32(command.tenant_id.encode()) % tenant_shards}"


def all_queues(tenant_shards: int) -> list[str]:
    """Every queue that a worker of this deployment consumes."""
    kinds = sorted({op.partition(".")[0] for op in known_ops()} | {"commands"})
    return [f"{kind}.{shard}" for kind in kinds for shard in range(tenant_shards)]


@dataclass(frozen=True)
class Fault:
    """A document in a message that is no command of this release."""

    ref: Ref
    op: str
    document: Any
    error: SignalboxError


@dataclass(frozen=True)
class Ring:
    """What a message asks for that rings for a worker: what is ready of a queue on these shards."""

    shards: tuple[str, ...]
    queue: str

    @property
    def summary(self) -> str:
        """What monitoring shows."""
        return f"{self.queue} {' '.join(self.shards)}"


def ring_document(ring: Ring) -> dict[str, Any]:
    return {"shards": list(ring.shards), "queue": ring.queue}


def read_ring(
    task_id: str, keywords: Mapping[str, Any], tenant_shards: int, positional: Sequence[Any] = ()
) -> Ring | Fault:
    """Read the arguments of a ring; what is none is a fault."""
    shards, queue = keywords.get("shards"), keywords.get("queue")
    named = shards if isinstance(shards, list) and all(map(is_tag, shards)) else []
    known = 0 < len(named) <= MAX_RING and queue in all_queues(tenant_shards)
    if known and not positional and keywords.keys() == {"shards", "queue"}:
        return Ring(tuple(dict.fromkeys(named)), str(queue))
    error = InvalidCommand(
        "no shards and queue of this deployment are named",
        next_step="send commands instead; only Signalbox itself rings. Are SIGNALBOX_TENANT_SHARDS "
        "the same everywhere?",
    )
    return Fault(f"-/-/{task_id}", DRAIN, dict(keywords), error)


def known_tasks() -> list[str]:
    """The names of all tasks that a message may ask for."""
    return sorted((*known_ops(), BATCH, DRAIN))


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    return {"ticket": 1, "op": ticket.op, "ref": ticket.ref}


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


def read_message(
    task_name: str,
    task_id: str,
    keywords: Mapping[str, Any],
    tenant_shards: int,
    positional: Sequence[Any] = (),
) -> Message:
    """Sort the documents of one message; what cannot be read becomes a fault, never an exception.

    `keywords` are the message's keyword arguments; `positional` ones are refused as unknown
    ones are. A whole command without an `op_id` takes the task's id (and its place in a batch),
    which stays the same when the broker delivers the message again.
    """
    arguments = {**keywords, "positional": list(positional)} if positional else keywords
    message = Message()
    name = "commands" if task_name == BATCH else "command"
    body = arguments.get(name)
    if task_name != BATCH:
        documents = [_with_strangers(body, arguments)]
    elif isinstance(body, list) and 0 < len(body) <= MESSAGE_LIMIT and len(arguments) == 1:
        documents = body
    else:
        error = InvalidCommand(
            f"the one argument is `commands`, a list of 1 to {MESSAGE_LIMIT} commands",
            next_step="see docs/wire-contract.md",
        )
        message.faults.append(Fault(f"-/-/{task_id}", BATCH, body, error))
        return message
    for index, document in enumerate(documents):
        default_id = task_id if task_name != BATCH else f"{task_id}.{index}"
        try:
            ticket = _read_ticket(document)
            if ticket is not None:
                message.tickets.append(ticket)
                continue
            _check_unicode(document)
            command = parse_command(_under_task(document, task_name), default_op_id=default_id)
            message.carried.append(Intent(command, queue_of(command, tenant_shards)))
        except SignalboxError as error:
            op = document.get("op") if isinstance(document, dict) else None
            op = op if isinstance(op, str) and op.isascii() else task_name
            ref = _fault_ref(document, default_id)
            tenant_id, env, _ = split_ref(ref)
            error.at(tenant_id=tenant_id, env=env)
            message.faults.append(Fault(ref, op[:80], document, error))
    return message


def _with_strangers(body: Any, arguments: Mapping[str, Any]) -> Any:
    """Arguments beside `command` are unknown fields of it: refused, and kept with it."""
    strangers = {name: value for name, value in arguments.items() if name != "command"}
    if not strangers:
        return body
    return {"arguments": strangers, **(body if isinstance(body, dict) else {"command": body})}


def _under_task(document: Any, task_name: str) -> Any:
    """A command that came alone may leave out its op, and must not have another than its task."""
    if task_name == BATCH or not isinstance(document, dict):
        return document
    if document.get("op", task_name) != task_name and _is_op(document["op"]):
        raise InvalidCommand(
            f"the task is {task_name}, but the command's op is another",
            next_step="give both the same name, or leave out `op`",
        )
    return {"op": task_name, **document}


def _is_op(name: Any) -> bool:
    return isinstance(name, str) and name in known_ops()


def _check_unicode(document: Any) -> None:
    """Half of a surrogate pair passes through JSON, but is no text that could be stored."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        raise InvalidCommand(
            "the command holds text that is not valid Unicode, or is nested too deeply",
            next_step="send UTF-8 text",
        ) from error


def _read_ticket(document: Any) -> Ticket | None:
    if not isinstance(document, dict) or "ticket" not in document:
        return None
    ref, op = document.get("ref"), document.get("op")
    if not (isinstance(ref, str) and _REF.fullmatch(ref) and _is_op(op)):
        raise InvalidCommand(
            "the ticket has no valid ref and op", next_step="send the whole command instead"
        )
    return Ticket(ref, str(op))


def _fault_ref(document: Any, default_id: str) -> str:
    """Under the command's own name where its scope is readable, else under no tenant's."""
    if isinstance(document, dict):
        parts = [document.get("tenant_id"), document.get("env")]
        parts.append(document.get("op_id", default_id))
        for op_id in (parts[2], default_id):
            ref = "/".join(str(part) for part in (*parts[:2], op_id))
            if _REF.fullmatch(ref):
                return ref
    return f"-/-/{default_id}"
