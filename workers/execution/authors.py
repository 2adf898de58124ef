"""Authors: whose signatures on commands are valid, by the trust file and the current roster."""

from __future__ import annotations

from collections.abc import Callable

from signalbox.commands.proof.keys import encode
from signalbox.commands.proof.principal import Principal, PrincipalKey, Role
from signalbox.commands.proof.trust import Trust
from signalbox.routing.registry.roster_reader import RosterReader

PrincipalOf = Callable[[str], Principal | None]
"""Returns the principal with a key of that id, None if there is none."""
AuthorsAt = Callable[[str | None], PrincipalOf]
"""Returns whose keys are valid at a position of the registry that a claim has read; None: now."""


class Authors:
    """Reads the roster again when the registry has changed. Thread-safe."""

    def __init__(self, trust: Trust, rosters: RosterReader) -> None:
        self._rosters = rosters
        self._administrators = {
            kid: Principal(
                name=name,
                keys=[PrincipalKey(x=encode(key.raw))],
                roles=[Role.ADMIN],
                tenants=["*"],
            )
            for kid, (name, key) in trust.administrators.items()
        }
        self._known: tuple[str | None, PrincipalOf] | None = None

    def __call__(self, position: str | None) -> PrincipalOf:
        """Return whose keys are valid there or later.

        Takes a round trip if the registry has changed, or for None (now). Raises RegistryUnproven
        and StateUnavailable.
        """
        known = self._known
        if known is not None and position is not None and known[0] == position:
            return known[1]
        by_kid = self._rosters.check().roster.by_kid

        def principal_of(kid: str) -> Principal | None:
            return self._administrators.get(kid) or by_kid.get(kid)

        self._known = position, principal_of
        return principal_of
