"""The route log. Everything in the registry changes only by appending an event here.

A change reads the current state, decides, and runs one script that appends the event and applies
its effect. If another change came in between, the script refuses and the change is decided again. A
refused change is recorded as an event too.
"""

from __future__ import annotations

import bisect
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from pydantic import BaseModel

from signalbox.commands.error import Conflict, InvalidCommand, RoutingError
from signalbox.commands.scope import Scope
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State
from signalbox.routing.policy.policy import FREE, Policy, Terms
from signalbox.routing.registry.author_signature import Basis
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.change_proofs import Believed, ChangeProofs
from signalbox.routing.registry.event import EventData, Kind, StreamEvent, make_event
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.record_tree import TreePath
from signalbox.routing.registry.records import Head, read_events, read_head
from signalbox.routing.registry.roster import EMPTY, Roster
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import Route

CHANGE = Script("signalbox.routing.registry", "change.lua")
_CHANGE_MEMORY = timedelta(days=1)
_TRIES = 1000
"""Attempts before a change gives up because other changes keep coming in between."""


@dataclass(frozen=True)
class ChangeRequest:
    """A requested change, before it is decided."""

    subject: str
    """`subject` of its event: `kind/tenant/env`, `policy/…`, `principal/…` or `registry`."""
    tenant_id: str
    """The tenant whose policy applies; empty for a rebase."""
    change: Change
    """Who requests it, why, and its idempotency key."""
    asked: dict[str, Any] | None = None
    """What the event of a refusal records as the request."""
    lock_token: int | None = None
    """Token of the strategy lock under which the change is made, if any."""
    scope: Scope | None = None
    """The route's scope; None for any other change."""
    op: str = ""
    """The operation, as it is granted to principals, such as `routing.set`."""
    roster: Roster | None = None
    """The roster with which an administrator begins anew, whatever is stored."""

    @classmethod
    def of(
        cls,
        scope: Scope,
        change: Change,
        lock_token: int | None = None,
        asked: dict[str, Any] | None = None,
        *,
        op: str = "",
    ) -> ChangeRequest:
        """Make a request to change the route of one scope, or its lock."""
        return cls(scope.field, scope.tenant_id, change, asked, lock_token, scope, op)


@dataclass(frozen=True)
class Seen:
    """The state that a change is decided on, read atomically."""

    head: Head
    """Newest event of the log."""
    route: Route | None
    """The route of the subject, None if there is none."""
    policy: Policy | None
    """The policy of the tenant, None if there is none."""
    lock: StrategyLock | None
    """The strategy lock that is held now, None if none is."""
    now_ms: int
    """Milliseconds since 1970 by the state Redis' clock."""
    applied: int | None
    """Revision that this change made when it was applied before; None if it was not."""
    roster: Roster = EMPTY
    """All principals; empty without a trust file."""
    tree: TreePath | None = None
    """The subject's path in the tree of records; None without a trust file."""
    anew: bool = False
    """True if the tree has to begin anew."""
    head_proof: str | None = None
    """The signature of the newest event; None without a trust file, and before the first."""

    @property
    def terms(self) -> Terms:
        """The terms of the tenant's policy, or the defaults."""
        return self.policy.terms if self.policy else FREE

    def basis(self) -> Basis:
        """Return what proves it, for the author of a change."""
        path = self.tree
        return Basis(
            self.head.epoch,
            self.head.revision,
            self.head_proof,
            self.roster,
            dict(path.digests) if path else {},
            [node.hex() for node in path.beside] if path else [],
        )


@dataclass(frozen=True)
class Draft:
    """A decided change: the content of its event, and the value to store with it."""

    kind: Kind
    """Kind of the event."""
    action: str
    """What change.lua does with the stored value, such as `set` or `delete`."""
    before: dict[str, Any] | None
    """The value before the change, for the event."""
    after: dict[str, Any] | None
    """The value after the change, for the event."""
    store: Callable[[StreamEvent], BaseModel | None] = lambda _: None
    """Returns the record to store, given the event; asked twice, for the signature and the hash."""
    epoch: str | None = None
    """The epoch that a rebase begins; None keeps the current one."""


Decide = Callable[[Seen], Draft | None]
"""Decides on the state found; None if nothing changes. Raises RoutingError to refuse."""


class EventLog:
    """Reads the log and appends to it. Thread-safe. All methods raise StateUnavailable."""

    def __init__(self, client: State, proofs: ChangeProofs | None = None) -> None:
        self._client = client
        self._proofs = proofs

    @property
    def signs(self) -> bool:
        """True if changes are signed here."""
        return self._proofs is not None

    def head(self) -> Head:
        """Return the newest event; revision 0 before the first."""
        return read_head(self._client.call("HMGET", f"{TAG}:head", "epoch", "rev", "hash"))

    def base(self) -> Head:
        """Return the newest event that was trimmed from the log; revision 0 if none was."""
        row = self._client.call("HMGET", f"{TAG}:head", "epoch", "base_rev", "base_hash")
        return read_head(row) if row[1] is not None else Head("", 0, "")

    def events(
        self, after: int, limit: int = 1000, block_ms: int | None = None
    ) -> list[StreamEvent]:
        """Return up to `limit` events with a revision above `after`, oldest first.

        With `block_ms`, wait up to that many milliseconds if there is none yet.
        """
        log = f"{TAG}:log"
        if block_ms is not None:
            wait = ("COUNT", 1, "BLOCK", block_ms)
            self._client.call("XREAD", *wait, "STREAMS", log, f"{after}-0")
        rows = self._client.call("XRANGE", log, f"({after}-0", "+", "COUNT", limit)
        return read_events(rows or [])

    def history(self, subject: str, limit: int = 100) -> list[StreamEvent]:
        """Return the newest `limit` events of a subject, including refusals, oldest first."""
        revisions = self._client.call("LRANGE", f"{TAG}:history:{subject}", -limit, -1)
        calls = [("XRANGE", f"{TAG}:log", f"{int(r)}-0", f"{int(r)}-0") for r in revisions]
        return [
            event for rows in run_pipeline(self._client, calls, []) for event in read_events(rows)
        ]

    def last_revision_before(self, moment: datetime) -> int:
        """Return the revision after which every event was committed at `moment` or later."""
        head = self.head().revision

        def committed(revision: int) -> float:
            events = self.events(revision - 1, limit=1)
            at = events[0].committed_at if events else None
            return at.timestamp() if at else float("inf")

        return bisect.bisect_left(range(1, head + 1), moment.timestamp(), key=committed)

    def change(self, request: ChangeRequest, decide: Decide) -> tuple[Seen, StreamEvent | None]:
        """Apply a change at most once per `change_id`.

        Returns the state that it was decided on and the event, None if nothing had to change.
        Raises what `decide` raises, after recording the refusal, and Conflict if other changes keep
        coming in between. ChangePrepared if its author has yet to sign it; what is refused of a
        change that its author signs is not recorded, since nobody has signed that.
        """
        by_author = request.change.by_author
        if by_author is not None and self._proofs is None:
            raise InvalidCommand(
                "changes of this registry are not signed", next_step="leave the signature out"
            )
        for _ in range(_TRIES):
            seen = self.see(request)
            if self._proofs is not None and by_author is None:
                self._proofs.check_author(request.op, request.subject, seen.roster)
            if seen.applied is not None:
                # Before any check: a repeat must not conflict with its own effect.
                return seen, None
            refusal: RoutingError | None = None
            try:
                draft = decide(seen)
            except RoutingError as error:
                refusal = _at(error, request)
                if by_author is not None:
                    raise
                draft = Draft("refused", "none", _before(request, seen), request.asked)
            if draft is None:
                return seen, None
            event, record, changed = self._event(request, seen, draft, refusal)
            tree: list[str | bytes] = ["1" if seen.anew else ""]
            tree += chain.from_iterable(changed.items())
            answer = self._append(request, seen.head, draft, event, record, tree)
            if answer == b"moved":
                continue
            if refusal is not None:
                raise refusal
            if answer == b"ok":
                return seen, event
            # Known: applied since the read, by a retry or another worker. The next read tells.
        raise _at(
            Conflict(
                f"{_TRIES} other changes came in between",
                next_step="try again when fewer routes are being changed",
            ),
            request,
        )

    def see(self, request: ChangeRequest) -> Seen:
        """Read the state that the change would be decided on now; one round trip."""
        proofs = self._proofs
        head, route, lock, policy, applied, time, *more = self._client.atomic(
            [
                ("HMGET", f"{TAG}:head", "epoch", "rev", "hash"),
                ("HGET", f"{TAG}:routes", request.subject),
                ("HGET", f"{TAG}:locks", request.subject),
                ("HGET", f"{TAG}:policies", request.tenant_id),
                ("GET", f"{TAG}:change:{request.change.change_id}"),
                ("TIME",),
                *(proofs.calls(request.subject, request.tenant_id) if proofs else ()),
            ]
        )
        now_ms = time[0] * 1000 + time[1] // 1000
        newest = read_head(head)
        stored = (route, lock, policy)
        if proofs is None:
            found = _taken(*stored)
        else:
            found = proofs.believe(
                request.subject,
                request.tenant_id,
                newest,
                stored,
                more,
                request.roster,
                own_key=request.change.by_author is None,
            )
        held = found.lock
        return Seen(
            head=newest,
            route=found.route,
            policy=found.policy,
            lock=held if held and held.held_at(now_ms) else None,
            now_ms=now_ms,
            applied=int(applied) if applied else None,
            roster=found.roster,
            tree=found.tree,
            anew=found.anew,
            head_proof=found.head_proof,
        )

    def _event(
        self, request: ChangeRequest, seen: Seen, draft: Draft, refusal: RoutingError | None
    ) -> tuple[StreamEvent, BaseModel | None, dict[str, bytes]]:
        data = EventData(
            actor=request.change.actor,
            reason=request.change.reason,
            before=draft.before,
            after=draft.after,
            error=refusal.detail().model_dump() if refusal else None,
            change_id=request.change.change_id,
        )
        by_author = request.change.by_author
        epoch = draft.epoch or seen.head.epoch
        if by_author is not None and by_author.epoch is not None and seen.head.revision == 0:
            epoch = by_author.epoch
        event = make_event(
            draft.kind,
            request.subject,
            data,
            epoch=epoch,
            revision=seen.head.revision + 1,
            prev=seen.head.hash,
            at=by_author.at if by_author is not None else None,
        )
        changed: dict[str, bytes] = {}
        if self._proofs is not None:
            record = draft.store(event)
            event, changed = self._proofs.sign(
                event,
                request.op,
                record,
                seen.tree,
                roster=seen.roster,
                anew=seen.anew,
                by_author=by_author,
                basis=seen.basis,
            )
        return event, draft.store(event), changed

    def _append(
        self,
        request: ChangeRequest,
        head: Head,
        draft: Draft,
        event: StreamEvent,
        record: BaseModel | None,
        tree: Sequence[str | bytes],
    ) -> bytes:
        refused = draft.kind == "refused"
        arguments: Sequence[Any] = [
            # A refusal decides nothing: the same change may be asked for again, and pass.
            f"{request.change.change_id}:refused:{uuid.uuid4().hex}"
            if refused
            else request.change.change_id,
            head.epoch,
            head.revision,
            head.hash,
            event.model_dump_json(exclude={"committed_at"}),
            event.epoch,
            event.hash,
            request.subject,
            draft.action,
            "" if record is None else record.model_dump_json(),
            request.change.actor,
            "" if request.lock_token is None else request.lock_token,
            _CHANGE_MEMORY // timedelta(milliseconds=1),
            *((event.proof, *tree) if event.proof is not None else ()),
        ]
        [answer] = run_pipeline(
            self._client, [CHANGE.call([TAG], arguments)], [CHANGE], durable=True
        )
        status: bytes = answer[0]
        return status


def _taken(route: bytes | None, lock: bytes | None, policy: bytes | None) -> Believed:
    """Return what is stored, unverified."""
    return Believed(
        Route.model_validate_json(route) if route else None,
        StrategyLock.model_validate_json(lock) if lock else None,
        Policy.model_validate_json(policy) if policy else None,
        EMPTY,
    )


def _before(request: ChangeRequest, seen: Seen) -> dict[str, Any] | None:
    """Return what a refused change would have changed."""
    if request.scope is None:
        return seen.policy.terms.model_dump(mode="json") if seen.policy else None
    return seen.route.document() if seen.route else None


def _at(error: RoutingError, request: ChangeRequest) -> RoutingError:
    scope = request.scope
    error.at(
        kind=scope.kind if scope else None,
        tenant_id=request.tenant_id or None,
        env=scope.env if scope else None,
    )
    return error
