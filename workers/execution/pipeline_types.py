"""Types that the executor's steps pass on: Routed, Admitted, Ended.

Each step requires the type that the previous one returns, so mypy rejects code that skips one:
adapters take only `Admitted` commands, which only `admission.admit` makes.
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
    """The claimed command."""
    route: Route
    """The route of its scope."""
    terms: Terms
    """The terms of the tenant's policy, also at least as new as the claim."""


@dataclass(frozen=True)
class Admitted:
    """A routed command that may run on its backend."""

    claimed: Claimed
    """The claimed command."""
    route: Route
    """The route of its scope."""
    backend: Backend
    """The backend that the route names."""
    mode: Mode
    """The strictest of the modes of command, route and policy."""
    quotas: Quotas
    """The tenant's quotas."""


@dataclass(frozen=True)
class Ended:
    """The end of a claimed command: a result, an error, or neither if it was not attempted."""

    claimed: Claimed
    """The claimed command."""
    route: Route | None = None
    """The route that it ran on; None if none was found."""
    result: dict[str, Any] | None = None
    """The result as JSON; None if it failed or did not run."""
    error: SignalboxError | None = None
    """The error; None if it succeeded or did not run."""
    growth: Growth | None = None
    """Change in stored objects and bytes; None if unknown."""
    tried: bool = False
    """True if it was attempted, may have had its effect, and is parked nevertheless."""

    @property
    def attempted(self) -> bool:
        """True if it has a result or an error."""
        return self.result is not None or self.error is not None

    @property
    def may_change(self) -> bool:
        """True if it is not final.

        It will be retried, and later commands of its key wait for it.
        """
        return self.result is None and (self.error is None or self.error.temporary)


Early = Callable[[Sequence[Ended]], None]
"""Takes ends of commands while others of the message still run."""


class Watch(Protocol):
    """Observes admitted commands while they run. Thread-safe."""

    def begin(self, items: Sequence[Admitted]) -> list[Ended]:
        """Called before a call of these commands.

        Returns their ends if they may no longer run, else none.
        """

    def moved(self, item: Admitted, seconds: float) -> None:
        """Called when content was transferred, for which the command may take `seconds` longer."""

    def ended(self, ends: Sequence[Ended]) -> None:
        """Called with the ends of one call."""
