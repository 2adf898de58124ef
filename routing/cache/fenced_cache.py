"""A cache whose entries are used only if their fence equals the one that the claim just read.

A stale value is therefore never used, even if its change event is late or lost. A fence older than
one that this process has seen shows that the registry lost changes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from signalbox.commands.error import RegistryUnproven
from signalbox.routing.route import fence_of, revision_of

MAX_ENTRIES = 100_000
"""Maximum number of cached values; the least recently stored is evicted first."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Regression:
    """The registry holds an older value than this process has seen."""

    seen: str | None
    """The newest fence that this process has seen."""
    now: str | None
    """The fence that the registry holds now."""


class FencedCache(Generic[K, V]):
    """Maps a key to its fence and its value, None if it is known to have none. Thread-safe.

    `read` returns value and fence of many keys in one round trip.
    """

    def __init__(
        self,
        read: Callable[[Sequence[K]], Sequence[tuple[V | None, str | None]]],
        *,
        absence_is_read: bool = False,
    ) -> None:
        """With `absence_is_read`, that a key never had a value is read too, once, and not believed
        for want of a fence."""
        self._read = read
        self._absence_is_read = absence_is_read
        self._known: OrderedDict[K, tuple[str | None, V | None]] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, key: K, fence: str | None) -> V | None:
        """Return the cached value if it has exactly this fence, else None; no round trip."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] == fence else None

    def get_many(self, fences: Mapping[K, str | None]) -> dict[K, V | Regression | None]:
        """Return for each key a value at least as new as its fence, None where there is none.

        `fences` holds the fence that the claim read for each key, None where a key never had a
        value. Entries with another fence are read again, all in one round trip. Raises
        StateUnavailable.
        """
        found: dict[K, V | Regression | None] = {}
        # With what was seen of each before the read: another thread may take in a newer value
        # meanwhile, and that is no regression.
        missing: dict[K, str | None] = {}
        for key, fence in fences.items():
            known = self._known.get(key)
            if known is None and fence is None and not self._absence_is_read:
                # It never was there, as far as anyone knows: not worth a round trip.
                found[key] = None
            elif known is None or known[0] != fence:
                missing[key] = _newer(fence, known[0] if known else None)
            else:
                found[key] = known[1]
        if missing:
            answers = self._read(list(missing))
            for (key, seen), (value, fence) in zip(missing.items(), answers, strict=True):
                found[key] = self._take(key, seen, fence, value)
        return found

    def learn(self, key: K, fence: str, value: V | None) -> None:
        """Store a value from the event log, None if it was deleted; a newer entry is kept."""
        with self._lock:
            self._keep(key, fence, value)

    def forget(self) -> None:
        """Drop all values after a gap in the log.

        The revisions are kept, under fences that no claim can read, so that a registry that comes
        back older is still recognised.
        """
        with self._lock:
            self._known = OrderedDict(
                (key, (fence_of(revision_of(fence), ""), None))
                for key, (fence, _) in self._known.items()
                if fence is not None
            )

    def reset(self) -> None:
        """Drop all values and revisions: a new epoch has begun."""
        with self._lock:
            self._known = OrderedDict()

    def _take(
        self, key: K, seen: str | None, fence: str | None, value: V | None
    ) -> V | Regression | None:
        if isinstance(value, RegistryUnproven):
            # Neither kept nor remembered: whoever wrote it must not be able to raise the revision
            # that this process has seen.
            return value
        if _newer(fence, seen) != fence:
            # The registry is older than it was: restored, or a replica that lost changes was
            # promoted. Nothing runs on what it says until that is mended.
            return Regression(seen, fence)
        with self._lock:
            self._keep(key, fence, value)
        return value

    def _keep(self, key: K, fence: str | None, value: V | None) -> None:
        """Unless what is known is newer: another thread read later, or the tail was first."""
        known = self._known.get(key)
        if known is not None and _newer(fence, known[0]) != fence:
            return
        self._known[key] = (fence, value)
        self._known.move_to_end(key)
        if len(self._known) > MAX_ENTRIES:
            self._known.popitem(last=False)


def _newer(fence: str | None, other: str | None) -> str | None:
    """The one of the higher revision; `fence` if they are equal in that, None is the oldest."""
    if other is None:
        return fence
    return other if fence is None or revision_of(fence) < revision_of(other) else fence
