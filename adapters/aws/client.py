"""AWS clients of the process: one session per credentials reference, one client per config.

Clients are thread-safe, sessions are not. A client of a shared session takes 0.3 MB, one with its
own session 12 MB. Nothing survives a fork: the child begins with empty caches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from signalbox.adapters.aws.credentials import CredentialsReference, Identity, make_identity
from signalbox.adapters.aws.timed import follow_calls
from signalbox.adapters.client_cache import ClientCache
from signalbox.adapters.deadline import Deadline, current, enter, leave
from signalbox.adapters.port import TimeLimit

MAX_CLIENTS = 256
"""Maximum number of cached clients."""
MAX_IDENTITIES = 64
"""Maximum number of cached sessions."""

follow_calls()

_limit: ContextVar[TimeLimit | None] = ContextVar("signalbox_aws_limit", default=None)


@contextmanager
def bounded(limit: TimeLimit) -> Iterator[None]:
    """Have an effect within this limit: no request is sent after it, not even botocore's own retry.

    Raises Expired before the first byte is sent.
    """
    limit.remaining()
    token = _limit.set(limit)
    # A thread that sends a part has its own deadline; within a call, the call's deadline applies.
    timed = enter(current() or Deadline(limit))
    try:
        yield
    finally:
        leave(timed)
        _limit.reset(token)


def current_limit() -> TimeLimit | None:
    """Return the limit of this thread's current effect, None if there is none."""
    return _limit.get()


def check_limit(**_: Any) -> None:
    """Check the limit; must be the first handler of a client's `before-send`.

    Raises Expired and Late.
    """
    if (deadline := current()) is not None:
        deadline.begin()
    limit = _limit.get()
    if limit is not None:
        limit.remaining()


def shared_client(
    reference: CredentialsReference, distinct: Hashable, make: Callable[[Identity], Any]
) -> Any:
    """Return the process's client for `reference` and `distinct`, made by `make` if there is none.

    `distinct` is the service and everything in the config that its client depends on. Makes no
    network call. Raises Misconfigured, or a botocore error for an invalid reference.
    """

    def make_with_session() -> Any:
        # Under the lock of the clients: sessions are not thread-safe.
        return make(_identities.get(reference, lambda: make_identity(reference)))

    return _clients.get((reference, distinct), make_with_session)


_clients = ClientCache[tuple[CredentialsReference, Hashable], Any](MAX_CLIENTS)
_identities = ClientCache[CredentialsReference, Identity](MAX_IDENTITIES)


def _forget() -> None:
    # The parent's sockets and locks are useless in the child, and sharing them does harm.
    global _clients, _identities
    _clients, _identities = ClientCache(MAX_CLIENTS), ClientCache(MAX_IDENTITIES)


os.register_at_fork(after_in_child=_forget)
