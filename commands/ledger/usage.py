"""Use: what a scope's commands did and what they left stored; counted with their finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from commands.ledger.shard import shard_for
from commands.scope import Scope
from commands.script import Script, run_pipeline

_ALLOW = Script("commands.ledger", "allow.lua")
MONTH_KEPT_DAYS = 400


@dataclass(frozen=True)
class Usage:
    """What one finished command adds to its scope's use."""

    scope: str
    """`kind/tenant/env`."""
    reads: int = 0
    writes: int = 0
    failures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    objects: int = 0
    """Change of what is stored, where the backend tells it; negative for a deletion."""
    bytes: int = 0
    health: str = ""
    """`ok` if the backend did what it was asked, the code if it failed as a whole, else empty."""

    def packed(self) -> str:
        """As finish.lua reads it."""
        numbers = (self.reads, self.writes, self.failures, self.bytes_in, self.bytes_out)
        text = " ".join(map(str, (*numbers, self.objects, self.bytes)))
        return f"{self.scope} {text} {self.health}"


@dataclass(frozen=True)
class Use:
    """What is counted of one scope. `objects` and `bytes` stand for what is stored there.

    They are None where the backend does not tell what a write replaces and the tenant has no
    quota for which it is asked; the others count from the first of the month, in UTC.
    """

    objects: int | None
    bytes: int | None
    reads: int
    writes: int
    failures: int
    bytes_in: int
    bytes_out: int
    ok_at: datetime | None
    """When the backend last did what it was asked."""
    error_at: datetime | None
    """When it last failed as a whole: unreachable, refused, misconfigured."""
    error: str | None
    """The code of that failure."""

    @property
    def health(self) -> str:
        """`ok`, the code of the last failure if nothing worked since, or `unknown`."""
        if self.error_at and (self.ok_at is None or self.ok_at < self.error_at):
            return self.error or "unknown"
        return "ok" if self.ok_at else "unknown"


@dataclass(frozen=True)
class Demand:
    """What the commands of one tenant and env in a message ask of its quotas."""

    tenant_id: str
    env: str
    stored_in: str
    """The scope, as `kind/tenant/env`, whose stored objects and bytes are limited."""
    commands: int
    per_second: float | None


@dataclass(frozen=True)
class Allowance:
    """`granted` of the commands may run now; the next ones each `interval` after `wait`."""

    granted: int
    wait: float
    interval: float
    """Both in seconds."""
    objects: int
    bytes: int
    """Stored now."""


class UsageBook:
    """Reads use and quotas' state in the ledger. Thread-safe. Methods raise StateUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def allow(self, demands: Sequence[Demand]) -> list[Allowance]:
        """How much of each demand may run now, in one round trip; what is granted is taken."""
        calls = []
        intervals = []
        for demand in demands:
            place = f"{demand.tenant_id}/{demand.env}"
            rate = demand.per_second
            interval = max(1, round(1e6 / rate)) if rate else 0
            intervals.append(interval / 1e6)
            burst = max(1, int(rate)) if rate else 1
            arguments = [place, interval, burst, demand.commands, demand.stored_in]
            calls.append(_ALLOW.call([shard_for(demand.tenant_id, demand.env)], arguments))
        answers = run_pipeline(self._client, calls, [_ALLOW])
        return [
            Allowance(int(granted), int(wait) / 1e6, interval, int(objects), int(size))
            for interval, (granted, wait, objects, size) in zip(intervals, answers, strict=True)
        ]

    def read(self, scopes: Sequence[Scope], month: str | None = None) -> list[Use]:
        """The use of each scope in a month (`2026-11`; this one), in one round trip."""
        month = month or this_month()
        calls: list[tuple[str, ...]] = []
        for scope in scopes:
            key = f"{shard_for(scope.tenant_id, scope.env)}:use:{scope.field}"
            calls += [("HGETALL", key), ("HGETALL", f"{key}:{month}")]
        rows = run_pipeline(self._client, calls, [])
        return [
            _use(_fields(now), _fields(its)) for now, its in zip(rows[::2], rows[1::2], strict=True)
        ]

    def recount(self, scope: Scope, objects: int, size: int) -> None:
        """Replace what is counted as stored by what was found there."""
        key = f"{shard_for(scope.tenant_id, scope.env)}:use:{scope.field}"
        run_pipeline(self._client, [("HSET", key, "objects", objects, "bytes", size)], [])


def this_month() -> str:
    """The current month in UTC, as `2026-11`."""
    return datetime.now(UTC).strftime("%Y-%m")


def _fields(answer: object) -> dict[str, str]:
    """HGETALL through a plain pipeline: a dict, or a flat list with older protocols."""
    if isinstance(answer, dict):
        return {name.decode(): value.decode() for name, value in answer.items()}
    assert isinstance(answer, list)  # noqa: S101 - the only other form
    texts = [part.decode() for part in answer]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _use(now: dict[str, str], month: dict[str, str]) -> Use:
    def stored(name: str) -> int | None:
        return int(now[name]) if name in now else None

    def at(name: str) -> datetime | None:
        return datetime.fromtimestamp(int(now[name]) / 1000, UTC) if name in now else None

    return Use(
        objects=stored("objects"),
        bytes=stored("bytes"),
        **{
            name: int(month.get(name, 0))
            for name in ("reads", "writes", "failures", "bytes_in", "bytes_out")
        },
        ok_at=at("ok_at"),
        error_at=at("error_at"),
        error=now.get("error"),
    )
