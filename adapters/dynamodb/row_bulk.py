"""Many upserts in few requests: transactions of up to 100, without those that stand in their way.

A transaction costs twice the write units of single puts, and a twentieth of the worker's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from adapters.aws.failure import code_of
from adapters.dynamodb.batch import earliest, lapsed
from adapters.dynamodb.failure import translate_reason
from adapters.dynamodb.item import Item
from adapters.dynamodb.row import superseded
from adapters.dynamodb.table import Cancelled, Table
from adapters.port import Call
from commands.error import SignalboxError, Unavailable
from commands.tabular_store import UpsertResult, UpsertRow

ROUNDS = 5
PAUSE = 0.02
"""Seconds before the second look at what was busy; doubles with each."""
_BUSY = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

Answer = UpsertResult | SignalboxError


def upsert_group(
    table: Table,
    items: Sequence[tuple[UpsertRow, Call]],
    puts: Sequence[Mapping[str, Any]],
    alone: Callable[[UpsertRow, Call], Answer],
) -> list[Answer]:
    """An answer for each; `alone` does one upsert. Raises botocore's errors."""
    answers: dict[int, Answer] = {}
    for number, (_, call) in enumerate(items):
        if (error := lapsed(call)) is not None:
            answers[number] = error
    for round_ in range(ROUNDS):
        todo = [number for number in range(len(items)) if number not in answers]
        if len(todo) < 2:
            break
        lease = earliest([items[number][1] for number in todo])
        try:
            table.transact([puts[number] for number in todo], lease)
        except Cancelled as cancelled:
            busy = False
            for number, (code, found) in zip(todo, cancelled.reasons, strict=True):
                if code in _BUSY:
                    busy = True
                elif code != "None":
                    answers[number] = _refused(code, found, *items[number])
            if busy:
                time.sleep(min(PAUSE * 2**round_, lease.remaining()))
        except ClientError as error:
            # One that is too large by DynamoDB's own count spoils the request.
            if code_of(error) != "ValidationException":
                raise
            break
        else:
            answers |= {number: done(*items[number]) for number in todo}
    return [
        answers[number] if number in answers else alone(*item) for number, item in enumerate(items)
    ]


def _refused(code: str, found: Item | None, command: UpsertRow, call: Call) -> Answer:
    if code != "ConditionalCheckFailed":
        return translate_reason(code)
    try:
        late = superseded(found, command, call)
    except SignalboxError as error:
        return error
    return restless() if late is None else done(command, call, superseded=late)


def done(command: UpsertRow, call: Call, *, superseded: bool = False) -> UpsertResult:
    return UpsertResult(
        table_name=command.table_name, key=command.key, revision=call.seq, superseded=superseded
    )


def restless() -> Unavailable:
    return Unavailable("the row is not as DynamoDB had said", next_step="it is tried again")
