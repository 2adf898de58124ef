"""Takes, renews and releases strategy locks; each operation appends an event to the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from signalbox.commands.error import InvalidCommand, LockLost
from signalbox.commands.scope import Scope
from signalbox.commands.state import State
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event_log import ChangeRequest, Draft, EventLog, Seen
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.strategy_lock import StrategyLock, check_lock


class LockRegistry:
    """The strategy locks of a registry. Thread-safe. All methods raise StateUnavailable."""

    def __init__(self, client: State, log: EventLog | None = None) -> None:
        self._client = client
        self._log = log or EventLog(client)

    def lock(
        self,
        scope: Scope,
        ttl: timedelta,
        change: Change,
        *,
        lock_token: int | None = None,
    ) -> StrategyLock:
        """Take the scope's strategy lock for `ttl`, or renew it if the actor of `change` holds it.

        `ttl` is 1 second to 7 days. While the lock is held, only its holder can change the route. A
        renewal keeps the token; pass it as `lock_token` so that an expired lock is not taken anew.
        Raises RouteLocked if someone else holds it, LockLost, and InvalidCommand.
        """
        if not timedelta(seconds=1) <= ttl <= timedelta(days=7):
            raise InvalidCommand("ttl is out of range", next_step="use 1 second to 7 days")

        def taken(seen: Seen, revision: int, proof: str | None = None) -> StrategyLock:
            # A lock that its author signs is of the time that was signed.
            by = change.by_author
            now_ms = int(by.at.timestamp()) * 1000 if by is not None else seen.now_ms
            return StrategyLock(
                owner=change.actor,
                reason=change.reason,
                token=seen.lock.token if seen.lock else revision,
                since_ms=seen.lock.since_ms if seen.lock else now_ms,
                until_ms=now_ms + ttl // timedelta(milliseconds=1),
                scope=scope.field if self._log.signs else None,
                proof=proof,
            )

        def decide(seen: Seen) -> Draft:
            check_lock(scope, seen.lock, change.actor, lock_token)
            lock = taken(seen, seen.head.revision + 1)
            return Draft(
                "lock_renewed" if seen.lock else "locked",
                "lock",
                seen.lock.document() if seen.lock else None,
                lock.document(),
                lambda event: taken(seen, event.revision, event.proof),
            )

        asked = {"ttl_seconds": ttl.total_seconds()}
        request = ChangeRequest.of(scope, change, lock_token, asked, op="routing.lock")
        seen, event = self._log.change(request, decide)
        if event is not None:
            return taken(seen, event.revision, event.proof)
        if seen.lock is not None and seen.lock.owner == change.actor:
            return seen.lock
        raise LockLost(
            f"the lock that this change took of {scope} is held no more",
            next_step="take it anew",
        )

    def unlock(
        self,
        scope: Scope,
        change: Change,
        *,
        force: bool = False,
        lock_token: int | None = None,
    ) -> StrategyLock | None:
        """Release the lock, with `force` also if someone else holds it; return the lock or None.

        Does nothing if no lock is held. Raises RouteLocked and LockLost.
        """

        def decide(seen: Seen) -> Draft | None:
            if not force:
                check_lock(scope, seen.lock, change.actor, lock_token)
            if seen.lock is None:
                return None
            forced = force and seen.lock.owner != change.actor
            return Draft(
                "lock_forced" if forced else "unlocked",
                "force" if forced else "unlock",
                seen.lock.document(),
                None,
            )

        token = None if force else lock_token
        request = ChangeRequest.of(scope, change, token, op="routing.unlock")
        seen, _ = self._log.change(request, decide)
        return seen.lock

    def held(self, scopes: Sequence[Scope]) -> list[StrategyLock | None]:
        """Return the lock that is held now on each scope, None where none is; one round trip."""
        if not scopes:
            return []
        fields = [scope.field for scope in scopes]
        (seconds, micros), rows = self._client.run(
            [self._client.time_call(TAG), ("HMGET", f"{TAG}:locks", *fields)]
        )
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        found = [StrategyLock.model_validate_json(row) if row else None for row in rows]
        return [lock if lock and lock.held_at(now_ms) else None for lock in found]
