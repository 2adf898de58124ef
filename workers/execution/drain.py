"""The work that a ring asks for: parcels are taken and run, until none is ready or time is over."""

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
"""For so long a drain holds its slot, and for as long as the last commands take that it took; what
is ready then is rung for anew, behind the messages that wait."""
AT_WORK = timedelta(seconds=2)
"""For so long nobody is rung for while a drain runs what it took."""
NAP = timedelta(milliseconds=3)
"""After so long a drain looks again if nothing was ready, where commands come singly but often,"""
LONGER_NAP = timedelta(milliseconds=10)
"""and after so long where many came together: whoever waited for these sends the next ones, and a
look costs less than a message."""
_NONE = timedelta(0)
OVERSLEPT = timedelta(milliseconds=50)
"""So late may it be before another is rung for."""
SCOPES_KEPT = 50
"""Scopes of a queue and shard whose fences are asked for in one round trip with the take."""


@dataclass(frozen=True)
class Drains:
    """Answers rings. One a process; thread-safe."""

    executor: Executor
    parcels: Parcels
    worker: str
    _scopes: dict[tuple[str, str], OrderedDict[str, None]] = field(default_factory=dict)
    """Of the last parcels that were taken, by shard and queue."""

    def run(self, ring: Ring) -> dict[str, int]:
        """Run what is ready; how many commands ended in which way.

        While the state Redis is away it waits and asks again: each step may be repeated.
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
