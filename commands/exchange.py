"""One round trip with several servers: calls are sent to all before the first answer is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from hiredis import pack_command

from signalbox.commands.state_error import TooFewReplicas

Failure = TypeVar("Failure", bound=redis.RedisError)

WAIT_MS = 1000
"""Milliseconds to wait for replicas to confirm what was written."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a server runs atomically: one command, or several between MULTI and EXEC."""

    key: str
    """A key with the hash tag that all commands use."""
    commands: tuple[tuple[Any, ...], ...]
    """The commands, each with its arguments."""


@dataclass(slots=True)
class _Talk:
    """What is said to one server."""

    client: redis.Redis
    connection: Any
    indices: Sequence[int]
    sent: bool = False
    whole: bool = False
    """Whether all answers were read."""


def exchange(
    parts: Mapping[redis.Redis, Sequence[int]],
    units: Sequence[Unit],
    answers: list[Any],
    replicas: int,
) -> None:
    """Send each server its units, and store their answers or errors in `answers`.

    `parts` holds for each server the indices of its units. With `replicas`, a server's answers are
    replaced by an error unless that many of its replicas have confirmed what was written.
    """
    talks: list[_Talk] = []
    for indices in parts.values():
        for index in indices:
            answers[index] = None
    try:
        for client, indices in parts.items():
            try:
                talk = _Talk(client, client.connection_pool.get_connection(), indices)
                talks.append(talk)
                commands = [command for i in indices for command in units[i].commands]
                if replicas:
                    # WAIT is about what this connection wrote, which may be nothing: what a repeat
                    # finds done was written by another one, for which nobody waited.
                    commands.append(("SET", tag_of(units[indices[0]].key) + ":synced", ""))
                    commands.append(("WAIT", replicas, WAIT_MS))
                connection = talk.connection
                connection.send_packed_command([_packed(commands)])
                talk.sent = True
            except (redis.ConnectionError, redis.TimeoutError) as error:
                _fail(answers, indices, error)
        for talk in talks:
            if talk.sent:
                _listen(talk, units, answers, replicas)
    finally:
        for talk in talks:
            if not talk.whole:
                talk.connection.disconnect()
            talk.client.connection_pool.release(talk.connection)


def exchange_with_one(client: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Send one server these commands; return an answer or an error for each.

    If the connection fails, each answer is its error.
    """
    answers: list[Any] = []
    if not commands:
        return answers
    callbacks: Any = client.response_callbacks
    try:
        connection: Any = client.connection_pool.get_connection()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        return [_kept(error)] * len(commands)
    try:
        connection.send_packed_command([_packed(commands)])
        for command in commands:
            try:
                answer = connection.read_response()
            except redis.ResponseError as error:
                answer = _kept(error)
            else:
                if (read := callbacks.get(command[0])) is not None:
                    answer = read(answer)
            answers.append(answer)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        return [_kept(error)] * len(commands)
    finally:
        if len(answers) < len(commands):
            connection.disconnect()
        client.connection_pool.release(connection)
    return answers


def _packed(commands: Sequence[tuple[Any, ...]]) -> bytes:
    """By hiredis itself: redis-py looks at each argument first, which takes twice the time."""
    return b"".join(map(pack_command, commands))


def _listen(talk: _Talk, units: Sequence[Unit], answers: list[Any], replicas: int) -> None:
    read: Any = talk.client.parse_response
    connection = talk.connection
    try:
        for index in talk.indices:
            unit = units[index]
            if len(unit.commands) == 1:
                try:
                    answers[index] = read(connection, unit.commands[0][0])
                except redis.ResponseError as error:
                    answers[index] = _kept(error)
            else:
                answers[index] = _all_of(talk.client, connection, unit)
        if replicas:
            _listen_to_replicas(talk, answers, replicas)
        talk.whole = True
    except (redis.ConnectionError, redis.TimeoutError) as error:
        # Of what this server has answered nothing counts: the replicas were not heard, and what
        # is asked again is asked in order.
        _fail(answers, talk.indices, error)


def _all_of(client: redis.Redis, connection: Any, unit: Unit) -> Any:
    refusal: redis.ResponseError | None = None
    last: Any = None
    for _ in unit.commands:
        try:
            last = connection.read_response()
        except redis.ResponseError as error:
            refusal = refusal or _kept(error)
    if refusal is not None:
        return refusal
    found = []
    for command, answer in zip(unit.commands[1:-1], last, strict=True):
        if isinstance(answer, Exception):
            return answer
        callbacks: Any = client.response_callbacks
        read = callbacks.get(command[0])
        found.append(read(answer) if read else answer)
    return found


def _listen_to_replicas(talk: _Talk, answers: list[Any], replicas: int) -> None:
    had, refusal = 0, None
    for _ in ("SET", "WAIT"):
        try:
            had = talk.connection.read_response()
        except redis.ResponseError as error:
            refusal = refusal or _kept(error)
    if refusal is not None:
        _fail(answers, talk.indices, refusal)
    elif had < replicas:
        short = TooFewReplicas(f"{had} of {replicas} replicas have what was written")
        _fail(answers, talk.indices, short)


def _fail(answers: list[Any], indices: Sequence[int], error: redis.RedisError) -> None:
    for index in indices:
        # What a server has refused says more than that the rest is not on its replicas.
        if not isinstance(answers[index], redis.ResponseError):
            answers[index] = _kept(error)


def _kept(error: Failure) -> Failure:
    """Return the error without its traceback, which holds all callers' variables.

    In a list that these hold it would keep them, and the contents that they name, until the next
    garbage collection.
    """
    return error.with_traceback(None)


def tag_of(key: str) -> str:
    """Return the hash tag of a key, including its braces; a key without one is its own tag."""
    begin = key.find("{")
    return key[begin : key.find("}", begin) + 1] if begin >= 0 else "{" + key + "}"
