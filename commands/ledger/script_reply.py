"""Parses the replies of the ledger's scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from signalbox.commands.error import AttemptsExhausted, SignalboxError
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ledger.entry import Claimed, Claims, Record, Ticket, Unrunnable, Wake
from signalbox.commands.ledger.framing import damaged
from signalbox.commands.ledger.proven import split_proof
from signalbox.commands.outcome import Outcome
from signalbox.commands.parse import load_command
from signalbox.commands.ref import Ref

T = TypeVar("T")

RECORD_FIELDS = ("op", "st", "seq", "att", "acc", "beg", "fin", "by", "out", "why")


def sort_claim(
    claims: Claims,
    ticket: Ticket,
    row: Sequence[Any],
    token: str,
    claimed_at: datetime,
    started: float,
    fence: str | None,
) -> None:
    """Add one row of a claim's answer to the claims."""
    status, op = row[0].decode(), row[1].decode()
    text, signed = split_proof(row[2])
    seq, attempt, lease_ms, base, mark, older = (int(number) for number in row[3:])
    if status not in ("run", "exhausted", "poison"):
        claims.skipped[status] = claims.skipped.get(status, 0) + 1
        if status == "suspect":
            claims.suspects.append(ticket)
        return
    try:
        if status == "exhausted":
            raise AttemptsExhausted(
                f"gave up after {attempt - base - 1} attempts, none of which came to an end",
                next_step="see what stops the workers, then submit it under a new op_id",
            )
        if status == "poison":
            raise AttemptsExhausted(
                "each of the processes that began it died with it, or could not record its end",
                next_step="look for what it is that kills them before it is replayed",
            )
        command = load_command(op, text)
        if command.ref != ticket.ref:
            raise damaged(f"holds the command {command.ref} under the name {ticket.ref}")
    except SignalboxError as error:
        claims.unrunnable.append(
            Unrunnable(ticket.ref, op, seq, attempt, token, claimed_at, error, signed)
        )
        return
    claims.claimed.append(
        Claimed(
            command=command,
            token=token,
            seq=seq,
            mark=mark,
            attempt=attempt,
            counted=attempt - base,
            # From before the call went out: never later than the ledger's own deadline.
            deadline=started + lease_ms / 1000,
            claimed_at=claimed_at,
            fence=fence,
            older=bool(older),
            signed=signed,
        )
    )


def read_record(ref: Ref, row: Sequence[Any]) -> Record | None:
    op, state, seq, attempt, accepted, began, ended, worker, outcome, why = row
    if state is None:
        return None
    return Record(
        ref=ref,
        op=op.decode(),
        state=state.decode(),
        seq=int(seq),
        attempt=int(attempt),
        accepted_at=datetime.fromtimestamp(int(accepted) / 1000, UTC),
        began=int(began) if began else None,
        ended=int(ended) if ended else None,
        worker=worker.decode() if worker else None,
        outcome=Outcome.model_validate_json(outcome) if outcome else None,
        waits_for=ErrorDetail.model_validate_json(why) if why and state == b"queued" else None,
    )


class ParcelState(NamedTuple):
    """The content of :par for an open parcel; see parcel.lua. Times are in milliseconds."""

    state: str
    until: int
    token: str
    size: int
    kept: int
    retention: int
    extra_lease: int
    accepted: int
    queue: str
    scope: str
    """`tenant/env/kind`."""
    reply: str
    left_out: frozenset[int]
    clock: int
    worker: str


def read_state(text: bytes) -> ParcelState:
    """Parse the content of :par."""
    state, until, token, size, kept, ret, xl, acc, queue, scope, reply, skip, clock, by = (
        text.decode().split(" ", 13)
    )
    left_out = frozenset(map(int, skip.split(","))) if skip != "-" else frozenset()
    return ParcelState(
        state=state,
        until=int(until),
        token=token,
        size=int(size),
        kept=int(kept),
        retention=int(ret),
        extra_lease=int(xl),
        accepted=int(acc),
        queue=queue,
        scope=scope,
        reply=reply,
        left_out=left_out,
        clock=int(clock),
        worker=by,
    )


def read_wakes(flat: Sequence[bytes]) -> list[Wake]:
    return [
        Wake(Ticket(ref.decode(), op.decode()), queue.decode(), group.decode())
        for ref, op, queue, group in batched(flat, 4)
    ]


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Split `items` into tuples of `size`; `itertools` has this from Python 3.12 on."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
