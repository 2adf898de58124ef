"""Parcels before they are submitted: which commands go into one, and the arguments of its submit.

The answer to a submit is read here too: which commands the ledger has left out of a parcel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from signalbox.commands.ledger.entry import Acceptance, Intent, Receipt
from signalbox.commands.ledger.parcel import ordinary, seal
from signalbox.commands.ledger.proven import enclose
from signalbox.commands.ledger.record_fields import extra_lease
from signalbox.commands.settings import Settings

MAX_BYTES = 512 * 1024
"""Bytes of content after which another parcel is begun."""
MAX_ROWS = 100
"""Maximum number of commands in a parcel, so that it fits well into one lease."""


@dataclass
class Draft:
    """A parcel before it is submitted."""

    intents: list[Intent] = field(default_factory=list)
    size: int = 0
    """Bytes of their content."""
    proof: str = ""
    """As `manifest.read_proof` reads it; '' if it is not signed."""

    @cached_property
    def content(self) -> bytes:
        """The commands, as `seal` makes them."""
        return seal([intent.command for intent in self.intents])


def sort_out(intents: Sequence[Intent]) -> tuple[list[Draft], list[Intent]]:
    """Split intents into drafts of parcels and others: commands that are not ordinary, and all
    other commands on their keys, since the order of a key is kept among records or in one parcel.
    """
    plain = [ordinary(intent.command) for intent in intents]
    keys = {_key(i) for i, is_plain in zip(intents, plain, strict=True) if not is_plain} - {None}
    drafts: dict[tuple[str, ...], Draft] = {}
    full: list[Draft] = []
    others: list[Intent] = []
    for intent, is_plain in zip(intents, plain, strict=True):
        command = intent.command
        if not is_plain or (keys and _key(intent) in keys):
            others.append(intent)
            continue
        scope = (command.tenant_id, command.env, command.kind, str(command.writes))
        group = (*scope, intent.queue, intent.reply_to)
        draft, size = drafts.get(group), command.size
        if draft is None:
            draft = drafts[group] = Draft()
        elif len(draft.intents) >= MAX_ROWS or draft.size + size > MAX_BYTES:
            full.append(draft)
            draft = drafts[group] = Draft()
        draft.intents.append(intent)
        draft.size += size
    return [*full, *drafts.values()], others


def read_draft(
    draft: Draft, name: str, out: Sequence[int], receipts: dict[int, Receipt]
) -> list[Intent]:
    """Add the receipts of accepted commands to `receipts`; return the intents left out."""
    held, number = name.startswith("="), int(name.lstrip("=") or 0)
    acceptance = Acceptance.HELD if held else Acceptance.NEW
    positions = set(out)
    left = []
    for position, intent in enumerate(draft.intents):
        if position in positions:
            left.append(intent)
        else:
            ref = intent.command.ref
            receipts[id(intent)] = Receipt(ref, acceptance, number + position)
    return left


def submit_arguments(
    shard: str,
    drafts: Sequence[Draft],
    settings: Settings,
    message: Callable[[str, str], str] | None,
) -> list[Any]:
    """What submit_parcels.lua reads; `message` makes those that it puts on the queues."""
    arguments: list[Any] = [_milliseconds(settings.publish_grace)]
    arguments += [settings.max_open, settings.tenant_window]
    messages: list[str] = []
    if message is not None:
        for queue in {draft.intents[0].queue for draft in drafts}:
            messages += [queue, message(shard, queue)]
    arguments += [len(messages) // 2, *messages]
    for draft in drafts:
        commands = [intent.command for intent in draft.intents]
        first = draft.intents[0]
        kept = settings.outcome_retention if first.command.writes else settings.read_retention
        arguments += [f"{first.command.tenant_id}/{first.command.env}", first.command.kind]
        arguments += [first.queue, first.reply_to or "-", _milliseconds(kept)]
        arguments += [extra_lease(draft.size)]
        arguments += [enclose(draft.content, draft.proof), len(commands)]
        for command in commands:
            arguments += [command.op_id, bytes.fromhex(command.fingerprint())]
            arguments.append(command.order_key or "")
    return arguments


def _key(intent: Intent) -> tuple[str, str, str] | None:
    command = intent.command
    key = command.order_key
    return (command.tenant_id, command.env, key) if key else None


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
