"""Adds commands of asyncio tasks to a buffer: at once while it has room, else in a queue."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from signalbox.commands.error import RateLimited, SignalboxError
from signalbox.commands.model import Command
from signalbox.producers.client.awaited_command import AwaitedCommand
from signalbox.producers.client.buffer import Buffer
from signalbox.producers.client.buffered_command import Pending

_NOW = timedelta(0)


class FullBufferQueue:
    """Adds commands in the order of the calls without blocking an event loop.

    For tasks of any loop.
    """

    def __init__(self, buffer: Buffer, timeout: timedelta) -> None:
        """`timeout` is how long a command waits for room."""
        self._buffer = buffer
        self._timeout = timeout.total_seconds()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="signalbox-full")
        """Where commands wait, in order, for room in the buffer."""
        self._waiting: set[AwaitedCommand] = set()

    async def put(self, awaited: AwaitedCommand) -> None:
        """Add to the buffer after all earlier commands; an error is recorded in `awaited`."""
        if self.put_at_once(awaited):
            return
        until = time.monotonic() + self._timeout
        self._waiting.add(awaited)
        loop = asyncio.get_running_loop()
        try:
            awaited.hand_over(await loop.run_in_executor(self._thread, self._add, awaited, until))
        except SignalboxError as error:
            awaited.fail(error)
        finally:
            self._waiting.discard(awaited)

    def put_at_once(self, awaited: AwaitedCommand) -> bool:
        """Add to the buffer if no command waits and it has room; return False if not."""
        if self._waiting:
            return False
        try:
            awaited.hand_over(self._buffer.add(awaited.command, _NOW))
        except RateLimited:  # Full: `put` waits for room, and no other command overtakes it.
            return False
        except SignalboxError as error:
            awaited.fail(error)
        return True

    def close(self) -> None:
        """Wait until the waiting commands were added, and stop the thread."""
        self._thread.shutdown()

    def _add(self, awaited: AwaitedCommand, until: float) -> Pending:
        command: Command = awaited.command
        return self._buffer.add(command, timedelta(seconds=max(0.0, until - time.monotonic())))
