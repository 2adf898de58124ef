"""Kombu's Redis transport, with one client a channel.

Kombu makes a new client for each call to the broker, 0.1 ms of processor time: about five of them
for a message, from its publishing to its acknowledgement.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from commands.state import DRIVER


class Channel(stock.Channel):
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
