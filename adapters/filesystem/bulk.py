"""Many commands in one transaction: one commit and one sync for all that it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import apsw

from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors, located
from adapters.port import Call
from commands.clock import lease_clock
from commands.error import SignalboxError
from commands.model import Command
from commands.scope import Scope

AnyCommand = TypeVar("AnyCommand", bound=Command)
Answer = TypeVar("Answer")
Decide = Callable[[AnyCommand, Call], Answer]
"""Does one command within the transaction. A SignalboxError is raised before any effect, so it
is that command's own."""


def decide_many(
    database: Database,
    scope: Scope,
    items: Sequence[tuple[AnyCommand, Call]],
    open_turn: Callable[[apsw.Connection], Decide[AnyCommand, Answer]],
) -> list[Answer | SignalboxError]:
    """An answer for each, in the order given. None is attempted behind one of its order key that
    ended in a temporary error.

    A failed transaction is the error of all: what was refused in it may have been so because of
    another's effect, which is gone now, or perhaps is not.
    """
    if not items:
        return []
    answers: list[Answer | SignalboxError] = []
    stopped: dict[str, SignalboxError] = {}
    try:
        with (
            filesystem_errors(scope),
            database.writing(_patience(call for _, call in items)) as connection,
        ):
            decide = open_turn(connection)
            for command, call in items:
                if stopped and command.order_key in stopped:
                    answers.append(stopped[command.order_key])
                    continue
                try:
                    answers.append(decide(command, call))
                except SignalboxError as error:
                    answers.append(located(error, scope))
                    if error.temporary and command.order_key is not None:
                        stopped[command.order_key] = error
    except SignalboxError as error:
        return [error] * len(items)
    return answers


def decide_one(
    database: Database,
    scope: Scope,
    command: AnyCommand,
    call: Call,
    open_turn: Callable[[apsw.Connection], Decide[AnyCommand, Answer]],
) -> Answer:
    """A bulk of one; raises what is wrong with it."""
    (answer,) = decide_many(database, scope, [(command, call)], open_turn)
    if isinstance(answer, SignalboxError):
        raise answer
    return answer


def _patience(calls: Iterable[Call]) -> float:
    """Seconds to wait for another writer: within each lease that has not run out yet."""
    now = lease_clock()
    return min((call.deadline - now for call in calls if call.deadline > now), default=0.001)
