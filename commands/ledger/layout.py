"""How a ledger is laid out: over how many shards, and by which version of the keys.

    {ledger}:layout  hash  shards, schema, tags (of the shards, for who reads it without this code)

It stands among the ledger's keys and not with the registry's, which producers may be kept from.
Whoever uses a ledger first records both, and everyone else holds to them: a process that took
another number would look for commands where they are not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from signalbox.commands.error import LedgerMismatch, LedgerTooNew, StateUnavailable
from signalbox.commands.ledger.shard import BEFORE, USUAL, Shards
from signalbox.commands.state import State

KEY = "{ledger}:layout"
SCHEMA = 1
"""What the keys mean. Raised by a release whose ledger the one before could not read."""
LOOK_SECONDS = 30.0
"""So often a process looks whether it is still the same ledger."""


@dataclass(frozen=True)
class _Layout:
    shards: Shards
    look_at: float


def shards_of(state: State) -> Shards:
    """The shards of the ledger in this state, recorded there if nobody has used it.

    Raises StateUnavailable, LedgerMismatch (another number is set, or it is another ledger than
    before), LedgerTooNew.
    """
    known: _Layout | None = state.layout
    if known is not None and time.monotonic() < known.look_at:
        return known.shards
    try:
        number = _recorded(state, known.shards.number if known else None)
    except StateUnavailable:
        if known is None:
            raise
        return known.shards  # whoever asks will be told, and the next one looks again
    if known is not None and number != known.shards.number:
        raise LedgerMismatch(
            f"the ledger was over {known.shards.number} shards and is over {number} now: it is "
            "another one",
            next_step="restart this process, and all others that run since before",
        )
    wanted = state.ledger_shards
    if wanted is not None and wanted != number:
        raise LedgerMismatch(
            f"the ledger is over {number} shards, and SIGNALBOX_LEDGER_SHARDS is {wanted}",
            next_step=f"unset it, or set it to {number}; the number of a ledger never changes",
        )
    shards = known.shards if known else Shards(number)
    state.layout = _Layout(shards, time.monotonic() + LOOK_SECONDS)
    return shards


def _recorded(state: State, known: int | None) -> int:
    number, schema = state.run([("HMGET", KEY, "shards", "schema")])[0]
    if number is None:
        new = known or (BEFORE if _is_from_before(state) else state.ledger_shards or USUAL)
        # Of two that find none the first records it, and both read what is there then.
        number, schema = state.run(
            [
                ("HSETNX", KEY, "shards", new),
                ("HSETNX", KEY, "schema", SCHEMA),
                ("HSETNX", KEY, "tags", " ".join(Shards(new).tags)),
                ("HMGET", KEY, "shards", "schema"),
            ],
            durable=True,
        )[-1]
    if int(schema or SCHEMA) > SCHEMA:
        raise LedgerTooNew(
            f"the ledger is of schema {int(schema)}, and this release knows {SCHEMA}",
            next_step="upgrade this process to the release that the others run",
        )
    return int(number)


def _is_from_before(state: State) -> bool:
    """Whether it was used by a release that recorded nothing: one of these keys was there then."""
    names = ("seq", "era", "clock", "count", "dead", "due")
    tags = Shards(BEFORE).tags
    return any(state.run([("EXISTS", *(f"{tag}:{name}" for name in names)) for tag in tags]))
