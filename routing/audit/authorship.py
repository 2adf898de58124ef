"""Verifies who signed each event of the route log, by the principals as they were then."""

from __future__ import annotations

from signalbox.commands.error import ProofError
from signalbox.commands.proof.principal import Principal
from signalbox.commands.proof.trust import Trust
from signalbox.routing.audit.fault import Fault
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent
from signalbox.routing.registry.proof import Verifier
from signalbox.routing.registry.record_tree import (
    EMPTY_ROOT,
    IN_TREE,
    TreePath,
    tree_fields,
)
from signalbox.routing.registry.roster import EMPTY, PRINCIPAL_PREFIX, Roster


class Authorship:
    """Takes events in order and keeps the first fault.

    Events from before changes were signed are counted in `unsigned`: they prove nothing. After the
    first signature each event needs one.
    """

    def __init__(self, trust: Trust, roster: Roster) -> None:
        """`roster` is the one of now: where the log begins later than with the first event of all,
        it says who was a principal before."""
        self._trust = trust
        self._roster = roster
        self._verifier = Verifier(trust, EMPTY)
        self.fault: Fault | None = None
        self.signed = 0
        self.unsigned = 0
        self._last: StreamEvent | None = None
        self._tree: dict[str, bytes] = {}
        self._root = EMPTY_ROOT
        self._followed = False
        """Whether all events that made the tree were seen."""

    def add(self, event: StreamEvent) -> str | None:
        """Check the next event; return who signed it, None if nobody did who may."""
        if self._last is None and event.revision > 1:
            self._verifier = Verifier(self._trust, before_revocations(self._roster))
        elif self._last is not None and event.revision <= self._last.revision:
            self._followed = False  # it goes on from a state that had lost events, and their tree
        self._last = event
        if event.proof is None and not self.signed:
            self.unsigned += 1
            return None
        try:
            author = self._verifier.event(event)
        except ProofError as error:
            self.fault = self.fault or Fault(event.revision, error.message)
            return None
        if self._other_tree(event):
            self.fault = self.fault or Fault(event.revision, "it states another tree of records")
        self.signed += 1
        if event.subject.startswith(PRINCIPAL_PREFIX) and event.data.error is None:
            self._learn(Principal.model_validate(event.data.after))
        return author.name

    def end(self) -> None:
        """Finish: the newest event must be signed."""
        if self.fault is None and self._last is not None and not self.signed:
            self.fault = Fault(
                self._last.revision,
                "no event is signed; if changes were never signed here, sign what stands with "
                "`signalbox audit adopt`",
            )

    def _other_tree(self, event: StreamEvent) -> bool:
        """Compare the root that it states with the one that the events before it lead to."""
        claims = self._verifier.claims_of(event)
        subject, record = event.subject, claims.get("record")
        if claims.get("anew") or not self.signed:
            self._tree, self._followed = {}, bool(claims.get("anew")) or event.revision == 1
        if not self._followed:
            return False
        root = self._root
        if event.type.removeprefix(TYPE_PREFIX) in IN_TREE:
            nodes = [self._tree.get(name) for name in tree_fields(subject)]
            root, changed = TreePath.read(subject, nodes).with_record(str(record))
            self._tree |= changed
        elif claims.get("anew") or not self.signed:
            root = EMPTY_ROOT
        self._root = root
        return bool(root != claims.get("root"))

    def _learn(self, principal: Principal) -> None:
        known = dict(self._verifier.roster.principals) | {principal.name: principal}
        self._verifier = Verifier(self._trust, Roster(principals=known))


def before_revocations(roster: Roster) -> Roster:
    """Return the roster as if no principal had been revoked."""
    found = {
        name: principal.model_copy(update={"revoked": None})
        for name, principal in roster.principals.items()
    }
    return Roster(principals=found)
