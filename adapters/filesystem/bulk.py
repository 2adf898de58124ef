"""Many commands in one transaction: one commit and one sync for all that it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import apsw

from adapters.filesystem.database import Database
from adapters.filesystem.failure import filesystem_errors, located
from adapters.port import Call
from commands.clock import lease_clock
from commands.error import SignalboxError
from commands.scope import Scope


class Ordered(Protocol):
    """A command, or what was made ready of one."""

    @property
    def order_key(self) -> str | None: ...


class Turn(Protocol):
    """The writes of one transaction. It reads at the beginning what it finds, decides in memory,
    each command on top of those before it, and writes at the end what comes of all."""

    def flush(self) -> None: ...


AnyCommand = TypeVar("AnyCommand", bound=Ordered)
AnyRead = TypeVar("AnyRead")
AnyTurn = TypeVar("AnyTurn", bound=Turn)
Answer = TypeVar("Answer")
OpenTurn = Callable[[apsw.Connection, Sequence[tuple[AnyCommand, Call]]], AnyTurn]
Decide = Callable[[AnyTurn, AnyCommand, Call], Answer]
"""Decides one command within the transaction. A SignalboxError is that command's own, which then
has no effect."""


def decide_many(
    database: Database,
    scope: Scope,
    items: Sequence[tuple[AnyCommand, Call]],
    open_turn: OpenTurn[AnyCommand, AnyTurn],
    decide: Decide[AnyTurn, AnyCommand, Answer],
) -> list[Answer | SignalboxError]:
    """As `decide_all`; a failed transaction is the error of each."""
    try:
        return decide_all(database, scope, items, open_turn, decide)
    except SignalboxError as error:
        return [error] * len(items)


def decide_all(
    database: Database,
    scope: Scope,
    items: Sequence[tuple[AnyCommand, Call]],
    open_turn: OpenTurn[AnyCommand, AnyTurn],
    decide: Decide[AnyTurn, AnyCommand, Answer],
) -> list[Answer | SignalboxError]:
    """An answer for each, in the order given. None is attempted behind one of its order key that
    ended in a temporary error.

    Raises the error of a failed transaction, which is that of all: what was refused in it may have
    been so because of another's effect, which is gone now, or perhaps is not.
    """
    if not items:
        return []
    answers: list[Answer | SignalboxError] = []
    stopped: dict[str, SignalboxError] = {}
    with (
        filesystem_errors(scope),
        database.writing(_patience(call for _, call in items)) as connection,
    ):
        turn = open_turn(connection, items)
        for command, call in items:
            if stopped and command.order_key in stopped:
                answers.append(stopped[command.order_key])
                continue
            try:
                answers.append(decide(turn, command, call))
            except SignalboxError as error:
                answers.append(located(error, scope))
                if error.temporary and command.order_key is not None:
                    stopped[command.order_key] = error
        turn.flush()
    return answers


def read_many(
    database: Database,
    scope: Scope,
    commands: Sequence[AnyRead],
    find: Callable[[apsw.Connection, Sequence[AnyRead]], Callable[[AnyRead], Answer]],
) -> list[Answer | SignalboxError]:
    """An answer for each. `find` reads for all, in a statement or a few, and gives what answers one
    of them: whose SignalboxError is that one's own."""
    if not commands:
        return []
    try:
        with filesystem_errors(scope), database.looking() as connection:
            answer = find(connection, commands)
    except SignalboxError as error:
        return [error] * len(commands)
    answers: list[Answer | SignalboxError] = []
    for command in commands:
        try:
            answers.append(answer(command))
        except SignalboxError as error:
            answers.append(located(error, scope))
    return answers


def only(answers: Sequence[Answer | SignalboxError]) -> Answer:
    """The answer to a bulk of one; raises what is wrong with it."""
    (answer,) = answers
    if isinstance(answer, SignalboxError):
        raise answer
    return answer


def _patience(calls: Iterable[Call]) -> float:
    """Seconds to wait for another writer: within each lease that has not run out yet."""
    now = lease_clock()
    return min((call.deadline - now for call in calls if call.deadline > now), default=0.001)
