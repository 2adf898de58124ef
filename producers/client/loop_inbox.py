"""Calls from other threads to an event loop, which is woken once for many calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Inbox:
    """Calls to be made on one event loop, posted by any thread and made in order.

    Waking a loop is a system call; a batch of outcomes takes one, not one for each command.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._woken = False

    def post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the call made soon. It is dropped if the loop is closed."""
        self._calls.append((call, arguments))
        # Without a lock: `_deliver` clears the flag before it looks, so a call that was added while
        # the flag was set is seen by that look.
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
    """The inboxes of the running event loops. Thread-safe."""

    def __init__(self) -> None:
        self._of: dict[asyncio.AbstractEventLoop, Inbox] = {}

    def here(self) -> Inbox:
        """Return the inbox of the running loop."""
        loop = asyncio.get_running_loop()
        inbox = self._of.get(loop)
        if inbox is None:
            inbox = Inbox(loop)
            # A copy, since threads of other loops read it at the same time.
            open_ones = {
                each: each_inbox for each, each_inbox in self._of.items() if not each.is_closed()
            }
            self._of = open_ones | {loop: inbox}
        return inbox
