"""How a ledger is laid out: over how many shards and queues, and by which version of the keys.

    {ledger}:layout  hash  shards, schema, tags (of the shards, for who reads it without this code),
                           tenant_shards (queues of each kind)

It stands among the ledger's keys and not with the registry's, which producers may be kept from.
Whoever uses a ledger first records all of them, and everyone else holds to them: a process that
took another number would look for commands where they are not, or send them to queues that no
worker consumes. To a ledger of a release that did not record its queues, a worker adds their
number, since what it consumes is right by definition; until then nobody's is checked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from signalbox.commands.error import LedgerMismatch, LedgerTooNew, StateUnavailable
from signalbox.commands.ledger.shard import BEFORE, USUAL, Shards
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect_to
from signalbox.commands.state_error import is_mistake

KEY = "{ledger}:layout"
SCHEMA = 1
"""Version of the keys. Raised by a release whose ledger the previous one cannot read."""
LOOK_SECONDS = 30.0
"""Seconds after which a process checks again that it is still the same ledger."""


@dataclass(frozen=True)
class _Layout:
    shards: Shards
    look_at: float


def shards_of(state: State) -> Shards:
    """Return the shards of the ledger in this state; record them if nobody has used it.

    Raises StateUnavailable, LedgerMismatch (the setting has another number of shards or queues, or
    it is another ledger than before) and LedgerTooNew.
    """
    known: _Layout | None = state.layout
    if known is not None and time.monotonic() < known.look_at:
        return known.shards
    try:
        number, queues = _recorded(state, known.shards.number if known else None)
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
    if queues is not None and state.tenant_shards not in (None, queues):
        raise LedgerMismatch(
            f"the workers of this ledger consume {queues} queues of each kind, and "
            f"SIGNALBOX_TENANT_SHARDS is {state.tenant_shards}",
            next_step=f"set it to {queues} here; docs/operations.md says how to change it for all",
        )
    shards = known.shards if known else Shards(number)
    state.layout = _Layout(shards, time.monotonic() + LOOK_SECONDS)
    return shards


def check_at_start(settings: Settings, *, is_worker: bool = False) -> None:
    """Check the settings of a process that starts against the ledger.

    Raises LedgerMismatch and LedgerTooNew, and StateUnavailable if the state's address is wrong. If
    the state is unavailable for another reason, the first use checks.
    """
    with connect_to(settings) as state:
        state.is_worker = is_worker
        try:
            shards_of(state)
        except StateUnavailable as error:
            if is_mistake(error):
                raise


def _recorded(state: State, known: int | None) -> tuple[int, int | None]:
    """The number of shards, and that of queues if it is recorded."""
    fields = ("HMGET", KEY, "shards", "schema", "tenant_shards")
    number, schema, queues = state.run([fields])[0]
    _check_schema(schema)
    missing: list[tuple[Any, ...]] = []
    was_used = number is not None or (known is None and _is_from_before(state))
    if number is None:
        new = known or (BEFORE if was_used else state.ledger_shards or USUAL)
        missing = [
            ("HSETNX", KEY, "shards", new),
            ("HSETNX", KEY, "schema", SCHEMA),
            ("HSETNX", KEY, "tags", " ".join(Shards(new).tags)),
        ]
    # Which queues of a ledger that was used are consumed, a worker knows: a client may be wrong.
    if queues is None and state.tenant_shards is not None and (state.is_worker or not was_used):
        missing.append(("HSETNX", KEY, "tenant_shards", state.tenant_shards))
    if missing:
        # Of two that find none the first records it, and both read what is there then.
        number, schema, queues = state.run([*missing, fields], durable=True)[-1]
        _check_schema(schema)
    return int(number), None if queues is None else int(queues)


def _check_schema(schema: bytes | None) -> None:
    if int(schema or SCHEMA) > SCHEMA:
        raise LedgerTooNew(
            f"the ledger is of schema {int(schema or SCHEMA)}, and this release knows {SCHEMA}",
            next_step="upgrade this process to the release that the others run",
        )


def _is_from_before(state: State) -> bool:
    """Return whether a release used it that recorded nothing: one of these keys exists then."""
    names = ("seq", "era", "clock", "count", "dead", "due")
    tags = Shards(BEFORE).tags
    return any(state.run([("EXISTS", *(f"{tag}:{name}" for name in names)) for tag in tags]))
