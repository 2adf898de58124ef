"""The connection to the state Redis, and its failures as typed errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis import DriverInfo
from redis.backoff import NoBackoff
from redis.retry import Retry

from commands.error import StateUnavailable

# Together under five seconds: that long a caller waits before it is told.
CONNECT_SECONDS = 1.5
ANSWER_SECONDS = 3.0

DRIVER = DriverInfo()
"""What CLIENT LIST shows as the library. Made once a process: for a connection that is given none,
redis-py looks through the installed packages for its own version, which takes 5 ms."""


def connect(url: str) -> redis.Redis:
    """A client of the state Redis. It connects on first use, and answers bytes.

    One retry: every script of ours is safe to repeat, and a pooled connection may be stale.
    """
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),
        driver_info=DRIVER,
    )


# How Redis begins a refusal of a command that would have worked at another moment or address, and
# what to do about it. https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
_REFUSALS = {
    "OOM": "give it memory; it takes up its work by itself",
    "MISCONF": "look into its log: it cannot write to its disk; it takes up its work by itself",
    "READONLY": "point SIGNALBOX_STATE_URL at the primary",
    "MASTERDOWN": "point SIGNALBOX_STATE_URL at the primary",
    "NOREPLICAS": "bring its replicas back, or lower min-replicas-to-write",
    "LOADING": "wait until it has read its data",
    "BUSY": "a script occupies it: see SLOWLOG, and SCRIPT KILL",
    "CLUSTERDOWN": "see CLUSTER INFO on its nodes",
    "TRYAGAIN": "wait until the cluster has moved the slot",
    "MOVED": "a Redis Cluster cannot hold the state: point SIGNALBOX_STATE_URL at a single Redis",
    "ASK": "a Redis Cluster cannot hold the state: point SIGNALBOX_STATE_URL at a single Redis",
    "NOPERM": "let its user run this command (ACL SETUSER), or name another in SIGNALBOX_STATE_URL",
    "NOAUTH": "put user and password into SIGNALBOX_STATE_URL",
    "WRONGPASS": "put the right user and password into SIGNALBOX_STATE_URL",
    "DB index": "name a database in SIGNALBOX_STATE_URL that the server has, such as /0",
}
_PASSING = {"OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "LOADING", "BUSY"}
# redis-py has classes of its own for some, and takes the first word off their texts.
_CLASSES: tuple[tuple[type[redis.RedisError], str], ...] = (
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
_FIRST_WORD = re.compile(rf"(?:^|[\s:-])({'|'.join(_REFUSALS)})\b")


def refusal_of(error: redis.RedisError) -> str | None:
    """The first word of Redis' refusal, if it would take the same command at another time."""
    for its_class, word in _CLASSES:
        if isinstance(error, its_class):
            return word
    if isinstance(error, redis.ResponseError) and (found := _FIRST_WORD.search(str(error))):
        return found[1]
    return None


def is_passing(error: redis.RedisError) -> bool:
    """Whether Redis refuses for now what it takes again by itself, or after a failover."""
    return refusal_of(error) in _PASSING


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn a state Redis that is away, silent, or refuses to work now into StateUnavailable.

    An answer to a wrong command (a mistake of ours) passes as it is.
    """
    try:
        yield
    except redis.RedisError as error:
        if word := refusal_of(error):
            raise StateUnavailable(
                f"the state Redis refuses ({word}): {error}", next_step=_REFUSALS[word]
            ) from error
        if not isinstance(error, redis.ConnectionError | redis.TimeoutError):
            raise
        raise StateUnavailable(
            f"the state Redis does not answer: {error}",
            next_step="start it, or set SIGNALBOX_STATE_URL; nothing was accepted or changed "
            "unless it was said so",
        ) from error
