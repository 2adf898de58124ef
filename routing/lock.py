"""The strategy lock: while someone holds it, no one else changes that route."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from signalbox.commands.error import LockLost, RouteLocked
from signalbox.commands.scope import Scope


class StrategyLock(BaseModel):
    """Who may change a route for now, and until when. Times are the state Redis' own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str
    reason: str
    token: int = Field(description="Revision of the event that took it: a later lock's is higher.")
    since_ms: int
    until_ms: int

    @property
    def until(self) -> datetime:
        return datetime.fromtimestamp(self.until_ms / 1000, UTC)

    def held_at(self, now_ms: int) -> bool:
        return self.until_ms > now_ms

    def document(self) -> dict[str, object]:
        """As events and answers show it."""
        return {
            "owner": self.owner,
            "reason": self.reason,
            "token": self.token,
            "until": self.until.isoformat(timespec="milliseconds"),
        }


def check_lock(scope: Scope, lock: StrategyLock | None, actor: str, token: int | None) -> None:
    """Raise RouteLocked if someone else holds the lock, LockLost if `token` is no longer its.

    `lock` is the one that is held now. Whoever names a token wants to act only while it is good:
    the holder of a lock that ran out must not change what another has locked or changed since.
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
