"""The connection to the state Redis, and its failures as typed errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

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


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn a lost, silent, full or loading state Redis into StateUnavailable."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StateUnavailable(
            f"the state Redis does not answer: {error}",
            next_step="start it, or set SIGNALBOX_STATE_URL; nothing was accepted or changed "
            "unless it was said so",
        ) from error
    except (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError) as error:
        raise StateUnavailable(
            f"the state Redis refuses writes: {error}",
            next_step="give it memory, or point SIGNALBOX_STATE_URL at the primary",
        ) from error


def without_password(url: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":***@") if parts.password else url
