"""Limits the memory for JSON bodies in a process, over all requests together."""

from __future__ import annotations

from signalbox.gateway.error import NoRoom

SMALL_BYTES = 64 * 1024
"""Bodies up to this size are always accepted: the number of connections limits them."""


class BodyMemory:
    """Counts the bytes of JSON bodies from their arrival until the response. For one event loop.

    While its commands run, a body takes several times its size, so a limit for each request alone
    would not protect against a thousand requests.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    def take(self, part: int, size: int) -> None:
        """Count a part of a body of which `size` bytes have arrived. Raises NoRoom.

        It does not wait, since two requests that wait for each other's room would wait for ever.
        """
        if size > SMALL_BYTES and self._held + part > self._limit:
            raise NoRoom(
                "the gateway has no room for this body beside those of other requests",
                next_step="send it again in a moment, or in smaller parts",
            )
        self._held += part

    def give_back(self, size: int) -> None:
        """Stop counting `size` bytes."""
        self._held -= size

    @property
    def held(self) -> int:
        """Number of bytes counted now."""
        return self._held
