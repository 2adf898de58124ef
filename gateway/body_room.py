"""How many bytes of JSON a process holds at a time, over all requests together."""

from __future__ import annotations

from signalbox.gateway.error import NoRoom

SMALL_BYTES = 64 * 1024
"""What is not larger is always taken: the number of connections bounds it."""


class BodyRoom:
    """The bytes of JSON bodies in hand, from the first that comes until the answer. For the tasks
    of one loop.

    Each body costs several times its size while its commands are under way, so a limit for one
    request alone would be none for a thousand.
    """

    def __init__(self, limit: int) -> None:
        self._most = limit
        self._held = 0

    def take(self, part: int, size: int) -> None:
        """For a part of a body of which `size` bytes have come with it. Raises NoRoom: nobody waits
        here, since two that wait for one another's room would do so for ever."""
        if size > SMALL_BYTES and self._held + part > self._most:
            raise NoRoom(
                "the gateway has no room for this body beside those of other requests",
                next_step="send it again in a moment, or in smaller parts",
            )
        self._held += part

    def give_back(self, size: int) -> None:
        self._held -= size

    @property
    def held(self) -> int:
        return self._held
