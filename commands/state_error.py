"""Translates errors of the state Redis to StateUnavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from signalbox.commands.error import StateUnavailable
from signalbox.commands.tls import tls_step


class TooFewReplicas(redis.ResponseError):
    """Fewer replicas than SIGNALBOX_STATE_REPLICAS have confirmed what was written."""


_OTHER_USER = (
    "let its user run this command (see `signalbox acl`), or name another one in "
    "SIGNALBOX_STATE_URL"
)
# How Redis begins a refusal of a command that would have worked at another moment or address, and
# what to do about it. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
_REFUSALS = {
    "OOM": "give it memory; it takes up its work by itself",
    "MISCONF": "look into its log: it cannot write to its disk; it takes up its work by itself",
    "READONLY": "point SIGNALBOX_STATE_URL at the primary",
    "MASTERDOWN": "point SIGNALBOX_STATE_URL at the primary",
    "NOREPLICAS": "bring its replicas back, or lower min-replicas-to-write or "
    "SIGNALBOX_STATE_REPLICAS; what was asked may have taken place, and is safe to ask again",
    "LOADING": "wait until it has read its data",
    "BUSY": "a script occupies it: see SLOWLOG, and SCRIPT KILL",
    "CLUSTERDOWN": "see CLUSTER INFO on its nodes",
    "TRYAGAIN": "wait until the cluster has moved the slot",
    "MOVED": "it is a Redis Cluster: begin SIGNALBOX_STATE_URL with redis+cluster://",
    "ASK": "wait until the cluster has moved the slot; `redis-cli --cluster fix` ends a move that "
    "was broken off",
    "NOPERM": _OTHER_USER,
    # Within a script it is no NOPERM: of Valkey and Redis 7, and of Redis 6.
    "ACL failure in script": _OTHER_USER,
    "The user executing the script": _OTHER_USER,
    "NOAUTH": "put user and password into SIGNALBOX_STATE_URL",
    "WRONGPASS": "put the right user and password into SIGNALBOX_STATE_URL",
    "cluster support disabled": "it is one server: begin SIGNALBOX_STATE_URL with redis://",
    "SENTINEL": "it is no Sentinel: name one (their port is 26379), or begin SIGNALBOX_STATE_URL "
    "with redis://",
    "DB index": "name a database in SIGNALBOX_STATE_URL that the server has, such as /0",
}
_PASSING = {"OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "LOADING", "BUSY"}
_MISTAKES = {"MOVED", "NOAUTH", "WRONGPASS", "cluster support disabled", "SENTINEL", "DB index"}
# redis-py has classes of its own for some, and takes the first word off their texts.
_CLASSES: tuple[tuple[type[redis.RedisError], str], ...] = (
    (TooFewReplicas, "NOREPLICAS"),
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.AuthenticationError, "WRONGPASS"),
    (redis.exceptions.BusyLoadingError, "LOADING"),
)
# Until 6.2 it is wrapped inside a script: `ERR Error running script (…): …: -OOM command …`.
_FIRST_WORD = re.compile(rf"(?:^|[\s:'`-])({'|'.join(_REFUSALS)})\b")


def refusal_of(error: redis.RedisError) -> str | None:
    """Return the code of a refusal, such as `OOM`, if the command may work later, else None."""
    for its_class, word in _CLASSES:
        if isinstance(error, its_class):
            return word
    if isinstance(error, redis.ResponseError) and (found := _FIRST_WORD.search(str(error))):
        return found[1]
    return None


def is_passing(error: redis.RedisError) -> bool:
    """True if the refusal ends by itself or after a failover."""
    return refusal_of(error) in _PASSING


def is_mistake(error: StateUnavailable) -> bool:
    """True if SIGNALBOX_STATE_URL has to be changed, so that waiting does not help."""
    cause = error.__cause__
    return isinstance(cause, redis.InvalidResponse) or (
        isinstance(cause, redis.RedisError) and refusal_of(cause) in _MISTAKES
    )


@contextmanager
def state_errors() -> Iterator[None]:
    """Raise StateUnavailable if the state Redis does not answer or refuses for now.

    An error that an invalid command causes, which is a bug, is raised unchanged.
    """
    try:
        yield
    except redis.RedisError as error:
        if word := refusal_of(error):
            raise StateUnavailable(
                f"the state Redis refuses ({word}): {error}", next_step=_REFUSALS[word]
            ) from error
        if isinstance(error, redis.InvalidResponse):
            raise StateUnavailable(
                f"what answers at the state's address is no Redis: {error}",
                next_step="set SIGNALBOX_STATE_URL to the host and port of the state Redis",
            ) from error
        if not isinstance(error, redis.ConnectionError | redis.TimeoutError):
            raise
        raise StateUnavailable(
            f"the state Redis does not answer: {error}",
            next_step=tls_step(error, "SIGNALBOX_STATE_URL")
            or "start it, or set SIGNALBOX_STATE_URL; nothing was accepted or changed "
            "unless it was said so",
        ) from error
