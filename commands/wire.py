"""The messages on the queue: names of queues and tasks, and the content of messages.

A message holds either tickets, which name commands in the ledger and are what our client sends, or
whole commands, which services without our client send. `docs/wire-contract.md` describes the same
without Python.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.ledger.shard import is_tag
from signalbox.commands.model import OP_ID_PATTERN, Command
from signalbox.commands.parse import known_ops, parse_command
from signalbox.commands.proof.signed_command import unverified
from signalbox.commands.ref import Ref, split_ref
from signalbox.commands.vocabulary import ENV_PATTERN, TENANT_PATTERN

BATCH = "commands.batch"
"""Task name of a message with many commands; that of a single command is its op."""
DRAIN = "commands.drain"
"""Task name of a ring, a message that tells a worker that parcels of a queue are ready."""
MAX_MESSAGE = 100
"""Maximum number of commands in a message of our client, so that it fits well within a lease."""
MAX_RING = 8
"""Maximum number of shards in one ring: a worker takes the parcels of many tenants together, and
several workers still share the load."""
MESSAGE_LIMIT = 1000
"""Maximum number of commands in any message."""
_REF = re.compile(
    f"(?:{TENANT_PATTERN.pattern})/(?:{ENV_PATTERN.pattern})/(?:{OP_ID_PATTERN})", re.ASCII
)
SUMMARY_HEADER = "signalbox_summary"
"""Name of the message header with one line for monitoring, without content."""


def queue_of(command: Command, tenant_shards: int) -> str:
    """Return the command's queue, by kind, tenant and env, so that a busy tenant delays few others.

    The ledger's shard is chosen by the same sum (`Shards.shard`). So where the number of queues
    divides the number of shards, a shard has the parcels of one queue of each kind, and one script
    takes all of them.
    """
    scope = f"{command.tenant_id}/{command.env}"
    return f"{command.kind}.{zlib.crc32(scope.encode()) % tenant_shards}"


def all_queues(tenant_shards: int) -> list[str]:
    """Return every queue that a worker of this deployment consumes."""
    return list(_queues(tenant_shards))


@lru_cache(maxsize=8)
def _queues(tenant_shards: int) -> dict[str, None]:
    kinds = sorted({op.partition(".")[0] for op in known_ops()} | {"commands"})
    return dict.fromkeys(f"{kind}.{shard}" for kind in kinds for shard in range(tenant_shards))


@dataclass(frozen=True)
class Fault:
    """A document in a message that this release cannot read as a command."""

    ref: Ref
    """Name under which it becomes a dead letter: `tenant/env/op_id`, or `-/-/` and an id."""
    op: str
    """Its `op`, or else the name of the task."""
    document: Any
    """The document as it was received."""
    error: SignalboxError
    """Why it was refused."""


@dataclass(frozen=True)
class Ring:
    """A request to take the ready parcels of one queue from some shards of the ledger."""

    shards: tuple[str, ...]
    """Hash tags of the shards."""
    queue: str
    """Name of the queue."""

    @property
    def summary(self) -> str:
        """One line for monitoring."""
        return f"{self.queue} {' '.join(self.shards)}"


def ring_document(ring: Ring) -> dict[str, Any]:
    """Return the keyword arguments of the message for a ring."""
    return {"shards": list(ring.shards), "queue": ring.queue}


def read_ring(
    task_id: str, keywords: Mapping[str, Any], tenant_shards: int, positional: Sequence[Any] = ()
) -> Ring | Fault:
    """Read the arguments of a ring; return a fault if they are not valid."""
    shards, queue = keywords.get("shards"), keywords.get("queue")
    named = shards if isinstance(shards, list) and all(map(is_tag, shards)) else []
    known = isinstance(queue, str) and queue in _queues(tenant_shards)
    sound = known and 0 < len(named) <= MAX_RING and not positional
    if sound and keywords.keys() == {"shards", "queue"}:
        return Ring(tuple(dict.fromkeys(named)), str(queue))
    error = InvalidCommand(
        "no shards and queue of this deployment are named",
        next_step="send commands instead; only Signalbox itself rings. Are SIGNALBOX_TENANT_SHARDS "
        "the same everywhere?",
    )
    return Fault(f"-/-/{task_id}", DRAIN, dict(keywords), error)


def known_tasks() -> list[str]:
    """Return the names of all tasks that a message may name."""
    return sorted((*known_ops(), BATCH, DRAIN))


def ticket_document(ticket: Ticket) -> dict[str, Any]:
    """Return the document of a ticket in a message."""
    return {"ticket": 1, "op": ticket.op, "ref": ticket.ref}


@dataclass(frozen=True)
class Message:
    """The parsed content of one message."""

    tickets: list[Ticket] = field(default_factory=list)
    """Names of commands in the ledger."""
    carried: list[Intent] = field(default_factory=list)
    """Whole commands, to be accepted into the ledger first."""
    faults: list[Fault] = field(default_factory=list)
    """Documents that could not be read."""

    def summary(self) -> str:
        """One line for Flower, without content."""
        lines = [i.command.summary() for i in self.carried]
        lines += [f"{t.op} ref={t.ref}" for t in self.tickets]
        lines += [f"{f.op} refused: {f.error.code}" for f in self.faults]
        return summarise(lines)


def summarise(lines: Sequence[str]) -> str:
    """Return the first three lines as one, with the number of all."""
    shown = "; ".join(lines[:3])
    return shown if len(lines) <= 3 else f"{len(lines)} commands: {shown}; …"


def read_message(
    task_name: str,
    task_id: str,
    keywords: Mapping[str, Any],
    tenant_shards: int,
    positional: Sequence[Any] = (),
) -> Message:
    """Parse the documents of one message; an unreadable one becomes a fault, not an exception.

    `keywords` are the keyword arguments of the message; unknown and positional arguments are
    refused. A whole command without an `op_id` gets the task's id, in a batch with its index. That
    id is the same when the broker delivers the message again. A text in place of a command is a
    signed one, which is read here as if it was not: who signed it is for the worker to see.
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
        proof = document if isinstance(document, str) else ""
        try:
            if proof:
                document = unverified(proof)
            ticket = _read_ticket(document)
            if ticket is not None:
                message.tickets.append(ticket)
                continue
            _check_unicode(document)
            command = parse_command(_under_task(document, task_name), default_op_id=default_id)
            message.carried.append(Intent(command, queue_of(command, tenant_shards), proof=proof))
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
