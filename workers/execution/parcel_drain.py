"""Draining of parcels: takes and runs those that are ready when a ring message asks for it."""

from __future__ import annotations

import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from signalbox.commands.fault import reach
from signalbox.commands.ledger.entry import Parcel
from signalbox.commands.ledger.parcels import Parcels, Take
from signalbox.commands.wire import Ring
from signalbox.workers.execution.state_retry import wait_for_state
from signalbox.workers.executor import Executor

DRAIN_SECONDS = 0.1
"""How long a drain goes on taking parcels. What is ready afterwards is announced by a new ring,
which queues behind the messages that wait."""
AT_WORK = timedelta(seconds=2)
"""How long the ledger sends no ring while a drain runs the parcels that it took."""
NAP = timedelta(milliseconds=3)
"""Pause before a drain that found nothing looks again, where commands come singly but often."""
LONGER_NAP = timedelta(milliseconds=10)
"""The same pause after a parcel of many commands: the client that waited for them sends the next
ones, and a look costs less than a message."""
_NONE = timedelta(0)
OVERSLEPT = timedelta(milliseconds=50)
"""How late a drain may return from its pause before the ledger rings for another."""
SCOPES_KEPT = 50
"""Scopes of a queue and shard whose fences are read in the same round trip as the parcels."""


@dataclass(frozen=True)
class ParcelDrain:
    """Runs ring messages. One per process; thread-safe."""

    executor: Executor
    """Runs the commands."""
    parcels: Parcels
    """Where parcels are taken."""
    worker: str
    """Name of the worker, recorded with every lease."""
    _scopes: dict[tuple[str, str], OrderedDict[str, None]] = field(default_factory=dict)
    """Scopes of the parcels taken last, by shard and queue."""

    def run(self, ring: Ring) -> dict[str, int]:
        """Run the parcels that are ready; return the number of commands by how they ended.

        Waits and retries while the state Redis is unavailable; every step may be repeated.
        """
        counts = Counter[str]()
        until = time.monotonic() + DRAIN_SECONDS
        takes, last, napped = 0, 0, False
        shards: Sequence[str] = ring.shards
        with self.executor.slots.taken() as slot:
            while True:
                stays = time.monotonic() < until
                token = uuid.uuid4().hex
                reach("claim.before")
                seen = self.executor.routes.position
                nap = _NONE
                if stays and not napped:
                    nap = LONGER_NAP if last > 1 else NAP if takes > 1 else _NONE
                where = shards, ring.queue
                take = self._take(*where, token, rung=not takes, stays=stays, nap=nap)
                reach("take.after")
                if take.claims.parcels:
                    takes, last, napped = takes + 1, len(take.claims.claimed), False
                    counts.update(self.executor.run(slot, token, take.claims, seen))
                elif take.expected:
                    napped = True
                    time.sleep(nap.total_seconds())
                shards = take.expected
                if not shards:
                    return dict(counts)

    def _take(
        self,
        shards: Sequence[str],
        queue: str,
        token: str,
        *,
        rung: bool,
        stays: bool,
        nap: timedelta,
    ) -> Take:
        def take() -> Take:
            return self.parcels.take(
                shards,
                queue,
                token=token,
                worker=self.worker,
                rung=rung,
                back_for_more=AT_WORK if stays else _NONE,
                back=nap + OVERSLEPT if nap else _NONE,
                scopes=self._known(shards, queue),
            )

        taken = wait_for_state(take)
        self.executor.publisher.publish_or_leave(taken.wakes)
        self._note(taken.claims.parcels, queue)
        return taken

    def _known(self, shards: Sequence[str], queue: str) -> Collection[str]:
        return {scope for shard in shards for scope in list(self._scopes.get((shard, queue), ()))}

    def _note(self, parcels: Sequence[Parcel], queue: str) -> None:
        for parcel in parcels:
            kept = self._scopes.setdefault((parcel.shard, queue), OrderedDict())
            scope = f"{parcel.kind}/{parcel.tenant_env}"
            kept[scope] = None
            kept.move_to_end(scope)
            while len(kept) > SCOPES_KEPT:
                kept.popitem(last=False)
