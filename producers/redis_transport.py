"""Kombu's Redis transport, with one client a channel, and patient with a Redis that refuses.

Kombu makes a new client for each call to the broker, 0.1 ms of processor time: about five of them
for a message, from its publishing to its acknowledgement.

A broker that is full, read-only or cannot save answers with errors that Celery does not expect, and
a worker ends on them. Here they count as a lost connection, to which it returns when it can.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from commands.state import DRIVER, is_passing


class _RefusalsAsLosses:
    """A connection that is lost with a refusal which will pass."""

    def read_response(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().read_response(*arguments, **keywords)  # type: ignore[misc]
        except redis.ResponseError as error:
            if is_passing(error):
                raise redis.ConnectionError(f"the broker refuses: {error}") from error
            raise


class _Connection(_RefusalsAsLosses, redis.Connection):
    pass


class _TlsConnection(_RefusalsAsLosses, redis.SSLConnection):
    pass


class Channel(stock.Channel):
    connection_class = _Connection
    connection_class_ssl = _TlsConnection
    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            # These hold a connection of their own for subscriptions and waits.
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]  # kombu has no types
        # Another pool stands for a lost connection, or for a fork.
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[no-untyped-call]  # kombu has no types
        return self._shared

    def _connparams(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        stock_parameters = super()._connparams(*arguments, **keywords)  # type: ignore[no-untyped-call]  # kombu has no types
        return {"driver_info": DRIVER, **stock_parameters}


class Transport(stock.Transport):
    Channel = Channel


def use_one_client_a_channel() -> None:
    """Let `redis://` and `rediss://` mean this transport in this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
