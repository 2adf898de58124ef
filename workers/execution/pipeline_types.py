"""The types that the executor's steps hand to one another.

Each step demands what the step before returns, so mypy refuses code that skips one: adapters
take only `Admitted` commands, and only `admission.admit` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from signalbox.adapters.catalogue import Backend
from signalbox.adapters.port import Growth
from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.scope import Mode
from signalbox.routing.policy.policy import Quotas, Terms
from signalbox.routing.route import Route


@dataclass(frozen=True)
class Routed:
    """A claimed command with a route at least as new as its claim."""

    claimed: Claimed
    route: Route
    terms: Terms
    """What the tenant's policy says, as new as the claim too."""


@dataclass(frozen=True)
class Admitted:
    """A routed command that may run on its backend, under the strictest of the modes."""

    claimed: Claimed
    route: Route
    backend: Backend
    mode: Mode
    quotas: Quotas


@dataclass(frozen=True)
class Ended:
    """What came of a claimed command: a result, an error, or neither if it was not attempted."""

    claimed: Claimed
    route: Route | None = None
    result: dict[str, Any] | None = None
    error: SignalboxError | None = None
    growth: Growth | None = None
    tried: bool = False
    """It waits although it was attempted, and may have had its effect."""

    @property
    def attempted(self) -> bool:
        return self.result is not None or self.error is not None

    @property
    def may_change(self) -> bool:
        """True if not final: the command is retried, and later ones on its key stay blocked."""
        return self.result is None and (self.error is None or self.error.temporary)


Early = Callable[[Sequence[Ended]], None]
"""Takes what has ended while other commands of the message still run."""


class Watch(Protocol):
    """Looks on while admitted commands run. Thread-safe."""

    def begin(self, items: Sequence[Admitted]) -> list[Ended]:
        """Asked right before a call of these: their ends if they may not run any more, or none."""

    def moved(self, item: Admitted, seconds: float) -> None:
        """Told of content of its that has come, and so may take that much longer."""

    def ended(self, ends: Sequence[Ended]) -> None:
        """Told of the commands of one call."""
