"""Adds commands of asyncio tasks to a buffer: at once while it has room, else in a queue."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from signalbox.commands.error import RateLimited, SignalboxError
from signalbox.commands.model import Command
from signalbox.producers.client.awaited_command import Asked
from signalbox.producers.client.buffer import Buffer
from signalbox.producers.client.buffered_command import Pending

_NOW = timedelta(0)


class FullLine:
    """Adds commands in the order of the calls without blocking an event loop.

    For tasks of any loop.
    """

    def __init__(self, buffer: Buffer, patience: timedelta) -> None:
        """`patience` is how long a command waits for room."""
        self._buffer = buffer
        self._patience = patience.total_seconds()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="signalbox-full")
        """Where commands wait, in order, for room in the buffer."""
        self._waiting: set[Asked] = set()

    async def put(self, asked: Asked) -> None:
        """Add to the buffer after all earlier commands; an error is recorded in `asked`."""
        if self.put_at_once(asked):
            return
        until = time.monotonic() + self._patience
        self._waiting.add(asked)
        loop = asyncio.get_running_loop()
        try:
            asked.hand_over(await loop.run_in_executor(self._thread, self._add, asked, until))
        except SignalboxError as error:
            asked.fail(error)
        finally:
            self._waiting.discard(asked)

    def put_at_once(self, asked: Asked) -> bool:
        """Add to the buffer if no command waits and it has room; return False if not."""
        if self._waiting:
            return False
        try:
            asked.hand_over(self._buffer.add(asked.command, _NOW))
        except RateLimited:  # Full: `put` waits for room, and no other command overtakes it.
            return False
        except SignalboxError as error:
            asked.fail(error)
        return True

    def close(self) -> None:
        """Wait until the waiting commands were added, and stop the thread."""
        self._thread.shutdown()

    def _add(self, asked: Asked, until: float) -> Pending:
        command: Command = asked.command
        return self._buffer.add(command, timedelta(seconds=max(0.0, until - time.monotonic())))
