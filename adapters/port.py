"""The types that all backends share: the context of an adapter, and the call of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.fault import reach
from signalbox.commands.payload import PayloadStore
from signalbox.commands.scope import Mode, Scope


@dataclass(frozen=True)
class AdapterContext:
    """What an adapter is opened for: one scope and one route revision."""

    scope: Scope
    """The scope."""
    mode: Mode
    """The strictest of the modes of route, policy and command."""
    config: Mapping[str, Any]
    """The route's config, as it was set."""


@dataclass
class Growth:
    """Change in stored objects and bytes; negative if fewer."""

    objects: int = 0
    """Change in the number of objects."""
    bytes: int = 0
    """Change in bytes."""


@dataclass
class Call:
    """One execution of one command.

    `mark` identifies the acceptance that is executed, uniquely for ever in its tenant and env. A
    backend stores it with the effect, so that a later attempt recognises its own. (An op_id may be
    reused after its retention.) `seq` grows with the order of acceptance: of two writes on one key,
    the one with the higher `seq` is newer. `takeover` says that an earlier attempt, whose worker's
    lease expired, may have had its effect: the adapter then looks before it writes.
    """

    mark: str
    """Number of the first acceptance, as text."""
    seq: int
    """Number of this acceptance, which orders writes."""
    takeover: bool
    """True if an earlier attempt may have had its effect."""
    deadline: float
    """End of the lease, in seconds of `lease_clock`. No effect may begin after it. It is extended
    while content is read."""
    payloads: PayloadStore
    """Where staged content is read."""
    stale: bool = False
    """True if newer commands may have run before its first attempt, and it may have run itself: so
    whatever is newer is kept, and its conditions are checked all the same."""
    measured: bool = False
    """True if the tenant has a quota of objects or bytes: `grew` is needed then, even if finding
    out what a write replaces costs a call."""
    growth: Growth = field(default_factory=Growth, compare=False)
    """What `grew` reported."""

    @property
    def in_doubt(self) -> bool:
        """True if effects of newer commands, or its own, may be there."""
        return self.takeover or self.stale

    def remaining(self) -> float:
        """Return the seconds left. Raises LeaseExpired. Must be called right before each effect."""
        left = self.deadline - lease_clock()
        if left <= 0:
            raise LeaseExpired("the lease ran out before the effect")
        reach("effect.before")
        return left

    def grew(self, objects: int, size: int) -> None:
        """Report the change in stored objects and bytes.

        Not called if it is unknown, or if a takeover finds its effect already there.
        """
        self.growth.objects, self.growth.bytes = objects, size


class TimeLimit(Protocol):
    """The time until which a driver may have an effect. A Call is one."""

    @property
    def deadline(self) -> float:
        """End in seconds of `lease_clock`. It may be extended while content is read."""

    def remaining(self) -> float:
        """Return the seconds left. Raises LeaseExpired. Must be called right before each effect."""


class BodyReader(Protocol):
    """A stream of content, which its reader closes."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...
