"""What every backend is given, whatever its kind, and what it promises in return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.fault import reach
from signalbox.commands.payload import PayloadStore
from signalbox.commands.scope import Mode, Scope


class Capability(StrEnum):
    """An operation or option that not every backend has; what is missing raises Unsupported."""

    CONDITIONAL_PUT = "conditional_put"
    CONDITIONAL_DELETE = "conditional_delete"
    PRESIGN_POST = "presign_post"
    PRESIGN_PUT = "presign_put"
    PRESIGN_GET = "presign_get"


@dataclass(frozen=True)
class AdapterContext:
    """What an adapter is opened for: one scope, one route revision."""

    scope: Scope
    mode: Mode
    """The stricter of the route's and the command's mode."""
    config: Mapping[str, Any]
    """The route's config, as it was set."""


@dataclass
class Growth:
    """How many objects and bytes more are stored; negative for less."""

    objects: int = 0
    bytes: int = 0


@dataclass
class Call:
    """The circumstances of one execution of one command.

    `mark` names the acceptance that is executed, and is unique for ever in its tenant and env:
    what a backend keeps beside an effect, so that a later attempt knows its own. (An op_id may be
    used again after its retention.) `seq` grows with the order of acceptance: of two writes on one
    key the one with the higher `seq` is the newer. `takeover` says that an earlier attempt may
    already have had its effect (the lease of its worker ran out): the adapter then looks before
    it writes.
    """

    mark: str
    seq: int
    takeover: bool
    deadline: float
    """On the clock of `lease_clock`, seconds: the lease's end. No effect may begin after it. It
    moves on while content is read that makes progress."""
    payloads: PayloadStore
    measured: bool = False
    """The tenant has a quota of objects or bytes: find out what a write replaces, for `grew`,
    even if that costs a call."""
    growth: Growth = field(default_factory=Growth, compare=False)

    def remaining(self) -> float:
        """Seconds left; LeaseExpired when there are none. Asked right before each effect."""
        left = self.deadline - lease_clock()
        if left <= 0:
            raise LeaseExpired("the lease ran out before the effect")
        reach("effect.before")
        return left

    def grew(self, objects: int, size: int) -> None:
        """Report by how many objects and bytes a write changed what is stored.

        Not called if that is unknown, or if a takeover finds its effect already there.
        """
        self.growth.objects, self.growth.bytes = objects, size


class TimeLimit(Protocol):
    """Until when a driver may have an effect. A Call is one."""

    @property
    def deadline(self) -> float:
        """On the clock of `lease_clock`, seconds. It may move on while content is read."""

    def remaining(self) -> float:
        """Seconds left; raises LeaseExpired when there are none. A driver asks right before each
        effect."""


class BodyReader(Protocol):
    """A stream of content that its reader closes."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...
