"""The strategy lock of a route: while it is held, only its owner can change the route."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.error import LockLost, RouteLocked
from signalbox.commands.scope import Scope


class StrategyLock(Documented):
    """A lock that is or was held. Times are milliseconds since 1970 by the state Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str
    """The actor who holds the lock."""
    reason: str
    """Why, in the owner's words."""
    token: int
    """Revision of the event that took the lock, so a later lock has a higher token."""
    since_ms: int
    """When the lock was taken."""
    until_ms: int
    """When the lock expires."""
    scope: str | None = Field(None, exclude_if=lambda scope: scope is None)
    """`kind/tenant/env` that it is of; None without a trust file."""
    proof: str | None = Field(None, exclude_if=lambda proof: proof is None)
    """The signature of who took or renewed it; None without a trust file."""

    @property
    def subject(self) -> str | None:
        """The `subject` of its events."""
        return self.scope

    @property
    def until(self) -> datetime:
        """When the lock expires, in UTC."""
        return datetime.fromtimestamp(self.until_ms / 1000, UTC)

    def held_at(self, now_ms: int) -> bool:
        """True if the lock has not expired at `now_ms`."""
        return self.until_ms > now_ms

    def document(self) -> dict[str, object]:
        """The lock as JSON data, for events and answers."""
        return {
            "owner": self.owner,
            "reason": self.reason,
            "token": self.token,
            "until": self.until.isoformat(timespec="milliseconds"),
        }


def check_lock(scope: Scope, lock: StrategyLock | None, actor: str, token: int | None) -> None:
    """Raise RouteLocked if someone else holds the lock, LockLost if `token` is no longer valid.

    `lock` is the one that is held now, None if none is. A caller passes the token of its lock so
    that the change is refused if the lock has expired, since another may have changed the route
    since.
    """
    if lock is not None and lock.owner != actor:
        raise RouteLocked(
            f"{scope} is locked by {lock.owner} until {lock.until:%Y-%m-%d %H:%M:%S} UTC: "
            f"{lock.reason}",
            next_step="wait or ask the holder; in an emergency: signalbox routes unlock "
            f"{scope.kind} -t {scope.tenant_id} -e {scope.env} --force --reason <text>",
        )
    if token is not None and (lock is None or lock.token != token):
        raise LockLost(
            f"lock {token} of {scope} is held no more",
            next_step="look at `signalbox routes history`, then take the lock anew",
        )
