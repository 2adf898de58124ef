"""Reads the roster, verifies each revision once, and remembers the newest that it has seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from signalbox.commands.error import (
    ProofError,
    RegistryUnproven,
    RegistryUnreadable,
    SignatureInvalid,
)
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.proof.trust import Trust
from signalbox.commands.state import State
from signalbox.routing.registry.event import TYPE_PREFIX, StreamEvent, parse_event
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proof import NEXT, ExpectedRecord, Verifier, revision_at, unproven
from signalbox.routing.registry.record_tree import EMPTY_ROOT, TreePath
from signalbox.routing.registry.records import text_of
from signalbox.routing.registry.roster import EMPTY, ROSTER, ROSTER_FIELD, Roster

ROSTER_KEY = f"{TAG}:{ROSTER}"
HEAD = ("HMGET", f"{TAG}:head", "epoch", "rev", "proof")
"""The call that reads what `RosterReader.root` needs."""
KINDS = ("principal_added", "principal_granted", "principal_rotated", "principal_revoked")
"""Kinds of the events that set the roster."""
READ = (("HGET", FENCE_KEY, ROSTER), ("HGET", ROSTER_KEY, ROSTER_FIELD))
"""The calls that read the roster's fence and the roster, which have to be atomic."""


class RosterReader:
    """Reads the current roster and verifies it. Thread-safe.

    A roster that is older than one seen before, or below the floor of the trust file, is refused.
    After a rebase it has to be set once in the new epoch if changes of it were lost.
    """

    def __init__(self, client: State, trust: Trust) -> None:
        self.trust = trust
        self._client = client
        self._lock = threading.Lock()
        self._known: Verifier | None = None
        self._root: tuple[tuple[Any, ...], str] | None = None

    def at(self, fence: bytes | str | None) -> Verifier:
        """Return a verifier by the roster with this fence, or by a newer one.

        Takes no round trip if that is known. Raises RegistryUnproven and StateUnavailable.
        """
        known = self._known
        now = text_of(fence) if fence is not None else EMPTY.fence
        if known is not None and known.roster.fence == now:
            return known
        return self.now()

    def check(self) -> Verifier:
        """Check whether the roster has changed, and then read it; one round trip, or two.

        Raises RegistryUnproven and StateUnavailable.
        """
        return self.at(self._client.call("HGET", FENCE_KEY, ROSTER))

    def now(self) -> Verifier:
        """Read the roster; one round trip. Raises RegistryUnproven and StateUnavailable."""
        return self.take(*self._client.atomic([*READ, HEAD]))

    def take(
        self,
        fence: bytes | str | None,
        text: bytes | str | None,
        head: Sequence[bytes | None] = (None, None, None),
    ) -> Verifier:
        """Verify what `READ` has read; with what `HEAD` has read, also that it is not older.

        Raises RegistryUnproven.
        """
        known = self._known
        if known is not None and fence is not None and known.roster.fence == text_of(fence):
            return known
        roster = self._verified(fence, text)
        if head[2] is not None:
            self.root(Verifier(self.trust, roster), head)
        if roster.revision < self.trust.floor:
            raise _lost(f"is at revision {roster.revision}, below the trust file's floor")
        with self._lock:
            seen = self._known.roster if self._known else EMPTY
            if (roster.epoch, roster.revision) < (seen.epoch, seen.revision):
                raise _lost(f"is at revision {roster.revision}, and was at {seen.revision}")
            self._known = Verifier(self.trust, roster)
            return self._known

    def root(self, verifier: Verifier, head: Sequence[bytes | None]) -> str:
        """Return the root that the newest event states; verified once. Raises RegistryUnproven.

        `head` is what `HEAD` has read, atomically with what is to be compared.
        """
        key = (verifier.roster.fence, *head)
        known = self._root
        if known is not None and known[0] == key:
            return known[1]
        epoch, revision, proof = (text_of(part) if part is not None else None for part in head)
        if revision is None and proof is None:
            return EMPTY_ROOT
        try:
            root = verifier.root(epoch or "", int(revision or 0), proof)
        except (ProofError, ValueError) as error:
            raise unproven("newest event", "registry", error) from None
        self._root = key, root
        return root

    def path(
        self, verifier: Verifier, head: Sequence[bytes | None], subject: str, nodes: Sequence[Any]
    ) -> TreePath:
        """Return the subject's path in the tree. Raises RegistryUnproven if it has another root."""
        root = self.root(verifier, head)
        with suppress(ValueError, TypeError):
            path = TreePath.read(subject, nodes)
            if path.root() == root:
                return path
        other = SignatureInvalid("the tree is not the one of the newest event")
        raise unproven("tree", subject, other)

    def stored(self) -> bytes | None:
        """Return the roster's text, unverified. Raises StateUnavailable."""
        text: bytes | None = self._client.call("HGET", ROSTER_KEY, ROSTER_FIELD)
        return text

    def began(self, epoch: str) -> bool:
        """Return whether a valid rebase began this epoch; two round trips.

        Raises RegistryUnproven and StateUnavailable.
        """
        text = self._client.call("HGET", f"{TAG}:head", "rebased")
        event: StreamEvent | None = parse_event(text) if text is not None else None
        if event is None or event.epoch != epoch or event.type != TYPE_PREFIX + "rebased":
            return False
        return self.now().proves(event)

    def _verified(self, fence: bytes | str | None, text: bytes | str | None) -> Roster:
        if text is None:
            if fence is not None:
                raise _lost("is missing")
            return EMPTY
        expected = ExpectedRecord(ROSTER, KINDS, revision_at(fence))
        roster = Verifier(self.trust, EMPTY).record(Roster, text, expected)
        if isinstance(roster, RegistryUnreadable):
            raise roster
        return roster


def _lost(what: str) -> RegistryUnproven:
    return RegistryUnproven(f"the list of principals {what}", next_step=NEXT)
