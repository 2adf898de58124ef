"""What other threads have for an event loop: it is woken once for all that has come together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Inbox:
    """Calls to be made on one event loop, posted by any thread, made in their order.

    To wake a loop is a system call; a batch that ended is one, not one for each command.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._woken = False

    def post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the call made soon. It is dropped if the loop is closed: nobody waits there."""
        self._calls.append((call, arguments))
        # Without a lock: `_deliver` clears this before it looks, so what was added before a
        # look that found it set is seen by that look.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._calls:
            call, arguments = self._calls.popleft()
            call(*arguments)


class Inboxes:
    """The inbox of each loop that runs. Thread-safe."""

    def __init__(self) -> None:
        self._of: dict[asyncio.AbstractEventLoop, Inbox] = {}

    def here(self) -> Inbox:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        inbox = self._of.get(loop)
        if inbox is None:
            inbox = Inbox(loop)
            # A copy, since threads of other loops look at the same time.
            open_ones = {each: its for each, its in self._of.items() if not each.is_closed()}
            self._of = open_ones | {loop: inbox}
        return inbox
