"""Who signed an event of the route log, as it is shown beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox.commands.error import ProofError
from signalbox.commands.proof.trust import Trust
from signalbox.routing.audit.authorship import before_revocations
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.proof import Verifier
from signalbox.routing.registry.roster import Roster


@dataclass(frozen=True)
class SignedBy:
    """Who signed an event, and whether that counts."""

    name: str | None
    """The administrator or principal; None if that cannot be verified."""
    verified: bool
    """True if it is proven that they made this change."""
    why_not: str | None = None
    """Why it is not verified, or does not count any more; None if it counts."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"name": self.name, "verified": self.verified, "why_not": self.why_not}

    def __str__(self) -> str:
        if not self.verified:
            return f"not verified: {self.why_not}"
        return f"{self.name}, ended" if self.why_not else str(self.name)


class Signatures:
    """Verifies single events, by the principals of now.

    What a principal signed before it was revoked is verified as theirs, and so told apart from what
    nobody signed. Whether each event was granted at its time, with the keys of its time, the whole
    log alone shows: `Authorship`.
    """

    def __init__(self, trust: Trust, roster: Roster) -> None:
        """`roster` is the one of now."""
        self._now = Verifier(trust, roster)
        self._once = Verifier(trust, before_revocations(roster))

    def of(self, event: StreamEvent) -> SignedBy:
        """Return who signed the event."""
        try:
            name = self._once.event(event).name
        except ProofError as error:
            return SignedBy(None, False, error.message)
        try:
            self._now.event(event)
        except ProofError as error:
            return SignedBy(name, True, error.message)
        return SignedBy(name, True)
