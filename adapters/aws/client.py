"""The process's clients of AWS: one session a credentials reference, one client a distinct config.

Clients are thread-safe, sessions are not; a client of a shared session costs 0.3 MB, with a
session of its own 12 MB. Nothing here survives a fork: the child begins with empty caches.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from signalbox.adapters.aws.credentials import CredentialsReference, Identity, make_identity
from signalbox.adapters.aws.timed import follow_calls
from signalbox.adapters.deadline import Deadline, current, enter, leave
from signalbox.adapters.port import TimeLimit

MAX_CLIENTS = 256
MAX_IDENTITIES = 64

follow_calls()

_limit: ContextVar[TimeLimit | None] = ContextVar("signalbox_aws_limit", default=None)


@contextmanager
def bounded(limit: TimeLimit) -> Iterator[None]:
    """An effect: no request within it is sent after the limit, botocore's own second attempt
    neither. Raises Expired before the first byte is sent.
    """
    limit.remaining()
    token = _limit.set(limit)
    # A thread that sends a part has a time of its own; what is within a call has that one's.
    timed = enter(current() or Deadline(limit))
    try:
        yield
    finally:
        leave(timed)
        _limit.reset(token)


def current_limit() -> TimeLimit | None:
    """That of the effect which is under way in this thread, if one is."""
    return _limit.get()


def check_limit(**_: Any) -> None:
    """To be registered first for `before-send` of a client. Raises Expired and Late."""
    if (deadline := current()) is not None:
        deadline.begin()
    limit = _limit.get()
    if limit is not None:
        limit.remaining()


def shared_client(
    reference: CredentialsReference, distinct: Hashable, make: Callable[[Identity], Any]
) -> Any:
    """The process's client for `reference` and `distinct` (the service, and all of the config
    that its client depends on), which `make` makes when there is none.

    No call to the backend; raises Misconfigured or a botocore error for a bad reference.
    """
    return _clients.get(reference, distinct, make)


class _Clients:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identities: OrderedDict[CredentialsReference, Identity] = OrderedDict()
        self._clients: OrderedDict[tuple[CredentialsReference, Hashable], Any] = OrderedDict()

    def get(
        self, reference: CredentialsReference, distinct: Hashable, make: Callable[[Identity], Any]
    ) -> Any:
        key = (reference, distinct)
        with self._lock:
            client = self._clients.pop(key, None)
            if client is None:
                client = make(self._identity(reference))
            self._clients[key] = client
            # One that falls out is not closed: another thread may be in the midst of using it.
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client

    def _identity(self, reference: CredentialsReference) -> Identity:
        identity = self._identities.pop(reference, None) or make_identity(reference)
        self._identities[reference] = identity
        if len(self._identities) > MAX_IDENTITIES:
            self._identities.popitem(last=False)
        return identity


_clients = _Clients()


def _forget() -> None:
    # The parent's sockets and locks are useless in the child, and shared ones are harmful.
    global _clients
    _clients = _Clients()


os.register_at_fork(after_in_child=_forget)
