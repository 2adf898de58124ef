"""Runs reads: a leading thread looks up many at once, and runs the quick ones itself.

Switching threads costs more than a short read, and threads that compute take turns at the
interpreter. The thread that looked up many reads therefore also runs those whose backend keeps its
files on this machine; the others get a thread each. If such a read takes long after all, another
thread takes the lead, so that reads behind it wait at most `STUCK_SECONDS`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from queue import SimpleQueue

from signalbox.commands.model import Command
from signalbox.gateway.fair_semaphore import FairSemaphore
from signalbox.gateway.open_content import Opened
from signalbox.gateway.read_admission import Timed
from signalbox.producers.client.loop_inbox import Inbox, Inboxes
from signalbox.workers.execution.adapter_pool import is_alike
from signalbox.workers.execution.pipeline_types import Admitted, Ended

Read = tuple[Ended, Opened | None]
"""The end of a read, and its content if it was opened."""
STUCK_SECONDS = 0.01
"""Seconds after which another thread takes the lead."""
MAX_LOOK = 500
"""Maximum number of reads looked up in one round trip."""


@dataclass(frozen=True)
class Calls:
    """How admitted reads are run."""

    one: Callable[[Admitted], Read]
    """Runs one read."""
    many: Callable[[Sequence[Admitted]], Sequence[Read]] | None = None
    """Runs several similar reads and returns an answer for each; None if they are run one by
    one."""


_Reading = tuple["_Slot", Admitted]


class ReadScheduler:
    """Runs reads that hold a permit, for tasks of any event loop, and gives the permits back."""

    def __init__(
        self,
        admit_many: Callable[[Sequence[Timed]], Sequence[Admitted | Ended]],
        permits: FairSemaphore,
        threads: ThreadPoolExecutor,
        inboxes: Inboxes,
    ) -> None:
        """There must be at least one more of `threads` than there are permits."""
        self._admit_many = admit_many
        self._permits = permits
        self._threads = threads
        self._inboxes = inboxes
        self._lock = threading.Lock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        """Has the leading thread lead (True), or end."""
        self._leader: threading.Thread | None = None
        self._asked: list[_Slot] = []
        self._quick: deque[list[_Reading]] = deque()
        """Groups of reads, each of which is run by one call."""
        self._leaders = 0
        self._moved = 0.0
        """When a leader last began something, in monotonic seconds."""
        self._timer: asyncio.TimerHandle | None = None
        self._timed_by: asyncio.AbstractEventLoop | None = None

    async def run(
        self, command: Command, seconds: float, calls: Calls, wait_seconds: float
    ) -> Read:
        """Run a read; return its end.

        The call may take `seconds`, but this waits `wait_seconds` at most. Raises TimeoutError
        then, and StateUnavailable.
        """
        slot = _Slot(self._inboxes.here(), command, seconds, calls)
        loop = slot.inbox.loop
        with self._lock:
            self._asked.append(slot)
            lead = not self._leaders
            self._leaders += lead
        if lead:
            self._begin()
        if self._timer is None or (self._timed_by is not None and self._timed_by.is_closed()):
            self._look_after(loop)
        timer = loop.call_later(wait_seconds, slot.give_up)
        try:
            return await slot.read
        finally:
            timer.cancel()
            slot.is_gone = True

    def close(self) -> None:
        """End the leading thread once it has run what was asked."""
        self._wake.put(False)
        if self._leader is not None:
            self._leader.join()

    def _begin(self) -> None:
        """Have a thread lead that waits for nothing else, which is quicker than a pool."""
        self._moved = time.monotonic()
        if self._leader is None:
            self._leader = threading.Thread(target=self._serve, name="gateway-read-lead")
            self._leader.start()
        self._wake.put(True)

    def _serve(self) -> None:
        while self._wake.get():
            self._lead()

    def _look_after(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check regularly that the leader is not stuck, until there is no leader."""
        self._timed_by = loop
        self._timer = loop.call_later(STUCK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if not self._leaders:
                self._timer = None
                return
            waits = self._asked or self._quick
            stuck = bool(waits) and time.monotonic() - self._moved > STUCK_SECONDS
            self._leaders += stuck
        self._look_after(loop)
        if stuck:
            self._moved = time.monotonic()
            self._threads.submit(self._lead)

    def _lead(self) -> None:
        while True:
            with self._lock:
                asked, self._asked = self._asked[:MAX_LOOK], self._asked[MAX_LOOK:]
                if not asked and not self._quick:
                    self._leaders -= 1
                    return
            self._moved = time.monotonic()
            if asked:
                self._look_up([slot for slot in asked if not self._left(slot)])
            while self._quick:
                try:
                    group = self._quick.popleft()
                except IndexError:  # another leader took it
                    break
                self._moved = time.monotonic()
                self._call_group(group)

    def _look_up(self, slots: Sequence[_Slot]) -> None:
        if not slots:
            return
        try:
            found = self._admit_many([(slot.command, slot.seconds) for slot in slots])
        except Exception as error:  # noqa: BLE001 - raised to whoever asked
            for slot in slots:
                self._permits.release(slot.command.tenant_id)
                slot.inbox.post(slot.fail, copy(error))  # each is raised in its own task
            return
        groups: dict[object, list[_Reading]] = {}
        for slot, item in zip(slots, found, strict=True):
            if isinstance(item, Ended):
                self._permits.release(slot.command.tenant_id)
                slot.inbox.post(slot.give, (item, None))
            elif item.backend.lab_only:  # its files are on this machine
                alike = is_alike(item) if slot.calls.many else None
                groups.setdefault((slot.calls, alike) if alike else slot, []).append((slot, item))
            else:
                self._threads.submit(self._call, slot, item)
        self._quick.extend(groups.values())

    def _call_group(self, group: list[_Reading]) -> None:
        present = [(slot, item) for slot, item in group if not self._left(slot)]
        many = group[0][0].calls.many
        if len(present) == 1 or many is None:
            for slot, item in present:
                self._call(slot, item)
            return
        if not present:
            return
        try:
            reads = many([item for _, item in present])
        except Exception as error:  # noqa: BLE001 - raised to whoever asked
            for slot, _ in present:
                slot.inbox.post(slot.fail, copy(error))
        else:
            for (slot, _), read in zip(present, reads, strict=True):
                slot.inbox.post(slot.give, read)
        finally:
            for slot, _ in present:
                self._permits.release(slot.command.tenant_id)

    def _call(self, slot: _Slot, item: Admitted) -> None:
        if self._left(slot):
            return
        try:
            read = slot.calls.one(item)
        except Exception as error:  # noqa: BLE001 - ends only this read
            slot.inbox.post(slot.fail, error)
        else:
            slot.inbox.post(slot.give, read)
        finally:
            self._permits.release(slot.command.tenant_id)

    def _left(self, slot: _Slot) -> bool:
        """Return whether nobody waits for it any more, and free its permit then."""
        if slot.is_gone:
            self._permits.release(slot.command.tenant_id)
        return slot.is_gone


class _Slot:
    """The wait of one task for its read."""

    def __init__(self, inbox: Inbox, command: Command, seconds: float, calls: Calls) -> None:
        self.inbox = inbox
        self.command, self.seconds, self.calls = command, seconds, calls
        self.read: asyncio.Future[Read] = inbox.loop.create_future()
        self.is_gone = False

    def give(self, read: Read) -> None:
        if not self.read.done():
            self.read.set_result(read)
        elif read[1] is not None:
            # It was opened for a task that has given up.
            read[1].close()

    def fail(self, error: Exception) -> None:
        if not self.read.done():
            self.read.set_exception(error)

    def give_up(self) -> None:
        self.fail(TimeoutError())
