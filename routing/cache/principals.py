"""The principals as a worker may believe them at a claim, verified once a revision."""

from __future__ import annotations

from signalbox.commands.proof.principal import Principal
from signalbox.routing.registry.proof import Verifier
from signalbox.routing.registry.roster_reader import RosterReader


class Principals:
    """Looks principals up in the newest roster. Thread-safe.

    Each claim reads the registry's position; where that has changed, so may have the roster. At the
    same position as before a lookup costs no round trip. All methods raise RegistryUnproven, if the
    roster does not count, and StateUnavailable.
    """

    def __init__(self, rosters: RosterReader) -> None:
        self._rosters = rosters
        self._looked: tuple[str | None, Verifier] | None = None

    def at(self, position: str | None) -> Verifier:
        """Return what verifies by the roster at a position, as `Claims.epoch` has it, or newer."""
        looked = self._looked
        if looked is None or looked[0] != position:
            looked = self._looked = position, self._rosters.check()
        return looked[1]

    def find(self, name: str, position: str | None) -> Principal | None:
        """Return the principal of that name at a position; None if there is none."""
        return self.at(position).roster.principals.get(name)

    def owner(self, kid: str, position: str | None) -> Principal | None:
        """Return the principal whose key has that id at a position; None if there is none."""
        return self.at(position).roster.by_kid.get(kid)
