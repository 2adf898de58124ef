"""Reads and changes principals; each change appends an event to the log and signs the roster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from signalbox.commands.error import Conflict, InvalidCommand, NotFound, RegistryUnreadable
from signalbox.commands.proof.principal import Principal, PrincipalKey
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event import Kind
from signalbox.routing.registry.event_log import ChangeRequest, Draft, EventLog, Seen
from signalbox.routing.registry.proof import PRINCIPAL_OP, Verifier
from signalbox.routing.registry.records import read_value
from signalbox.routing.registry.roster import (
    EMPTY,
    MAX_PRINCIPALS,
    Roster,
    principal_subject,
    roster_after,
)
from signalbox.routing.registry.roster_reader import RosterReader

Edit = Callable[[Principal | None], Principal]
"""Returns the principal as it shall be. Raises to refuse."""


class PrincipalRegistry:
    """The principals of a registry. Thread-safe. All methods raise StateUnavailable.

    Changes raise NotGranted unless this process' key is an administrator's.
    """

    def __init__(self, log: EventLog, rosters: RosterReader) -> None:
        self._log = log
        self._rosters = rosters

    def verifier(self) -> Verifier:
        """Return what verifies by the principals of now. Raises RegistryUnproven."""
        return self._rosters.now()

    def all(self) -> list[Principal]:
        """Return all principals, revoked ones too, ordered by name. Raises RegistryUnproven."""
        principals = self._rosters.now().roster.principals
        return [principals[name] for name in sorted(principals)]

    def get(self, name: str) -> Principal:
        """Return a principal. Raises NotFound and RegistryUnproven."""
        return _known(self._rosters.now().roster.principals.get(name), name)

    def add(self, principal: Principal, change: Change) -> Principal:
        """Add a principal. Raises Conflict if its name or one of its keys is taken."""

        def edit(before: Principal | None) -> Principal:
            if before is not None:
                raise Conflict(
                    f"there is a principal {principal.name}",
                    next_step="change it with `signalbox principal grant`, or choose another name; "
                    "the name of one that was revoked is not used again",
                )
            return principal

        return self._change(principal.name, "principal_added", edit, change)

    def grant(self, name: str, granted: dict[str, Any], change: Change) -> Principal:
        """Replace what a principal may: roles, tenants, envs, ops, expires. Raises NotFound."""

        def edit(before: Principal | None) -> Principal:
            return Principal.model_validate(_valid(before, name).model_dump() | granted)

        return self._change(name, "principal_granted", edit, change)

    def rotate(
        self,
        name: str,
        change: Change,
        *,
        add: PrincipalKey | None = None,
        remove: str | None = None,
    ) -> Principal:
        """Add a key to a principal, or remove the one with an id, or both. Raises NotFound.

        What the removed key has signed does not count any more.
        """

        def edit(before: Principal | None) -> Principal:
            known = _valid(before, name)
            if remove is not None and known.key(remove) is None:
                raise NotFound(
                    f"principal {name} has no key {remove}",
                    next_step=f"see its keys with `signalbox principal show {name}`",
                )
            keys = [key for key in known.keys if key.public.kid != remove]
            keys += [add] if add is not None else []
            if not keys:
                raise InvalidCommand(
                    "a principal without a key could sign nothing",
                    next_step="add the new key first, or revoke the principal",
                )
            return Principal.model_validate(known.model_dump() | {"keys": keys})

        return self._change(name, "principal_rotated", edit, change)

    def revoke(self, name: str, change: Change) -> Principal:
        """End a principal for good: nothing that its keys have signed counts. Raises NotFound."""

        def edit(before: Principal | None) -> Principal:
            known = _known(before, name)
            if known.revoked is not None:
                return known
            at = change.by_author.at if change.by_author else datetime.now(UTC)
            return known.model_copy(update={"revoked": at.replace(microsecond=0)})

        return self._change(name, "principal_revoked", edit, change)

    def standing(self) -> Roster:
        """Return the roster as it stands, whether it counts or not.

        Raises RegistryUnreadable if it is none.
        """
        text = self._rosters.stored()
        found = read_value(Roster, text) if text is not None else EMPTY
        if isinstance(found, RegistryUnreadable):
            raise found
        return found

    def adopt(self, roster: Roster, change: Change) -> None:
        """Sign all principals as they are in `roster`, with an administrator's key.

        Needed where who has signed them is no administrator any more.
        """

        def decide(seen: Seen) -> Draft | None:
            if not roster.principals:
                return None
            name = min(roster.principals)
            after = roster.principals[name].model_dump(mode="json")
            return Draft(
                "principal_granted",
                "principals",
                None,
                after,
                lambda event: roster_after(seen.roster, seen.roster.principals[name], event),
            )

        subject = principal_subject(min(roster.principals, default="nobody"))
        request = ChangeRequest(subject, "", change, op=PRINCIPAL_OP, roster=roster)
        self._log.change(request, decide)

    def _change(self, name: str, kind: Kind, edit: Edit, change: Change) -> Principal:
        made: list[Principal] = []

        def decide(seen: Seen) -> Draft | None:
            before = seen.roster.principals.get(name)
            after = edit(before)
            made[:] = [after]
            if after == before:
                return None
            self._check(after, seen.roster)
            return Draft(
                kind,
                "principals",
                before.model_dump(mode="json") if before else None,
                after.model_dump(mode="json"),
                lambda event: roster_after(seen.roster, after, event),
            )

        request = ChangeRequest(principal_subject(name), "", change, op=PRINCIPAL_OP)
        self._log.change(request, decide)
        return made[0] if made else self.get(name)

    def _check(self, principal: Principal, roster: Roster) -> None:
        if principal.name not in roster.principals and len(roster.principals) >= MAX_PRINCIPALS:
            raise Conflict(
                f"there are {MAX_PRINCIPALS} principals",
                next_step="let services share one, with a key each",
            )
        # A key of two would leave open who has signed.
        kids = [key.public.kid for key in principal.keys]
        for key in principal.keys:
            if key.public.kid not in roster.by_kid and not key.public.valid:
                raise InvalidCommand(
                    f"nothing can be signed for the key {key.public.kid}: it is no point of the "
                    "curve",
                    next_step="make one with `signalbox key new`",
                )
        for kid in kids:
            other = roster.by_kid.get(kid)
            taken = kid in self._rosters.trust.administrators or kids.count(kid) > 1
            if taken or (other is not None and other.name != principal.name):
                raise Conflict(
                    f"the key {kid} is taken",
                    next_step="make one for this principal alone, with `signalbox key new`",
                )


def _known(principal: Principal | None, name: str) -> Principal:
    if principal is None:
        raise NotFound(
            f"there is no principal {name[:80]}", next_step="see `signalbox principal list`"
        )
    return principal


def _valid(principal: Principal | None, name: str) -> Principal:
    known = _known(principal, name)
    if known.revoked is not None:
        raise Conflict(
            f"principal {name} is revoked", next_step="add one with another name and another key"
        )
    return known
