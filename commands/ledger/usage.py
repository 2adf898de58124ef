"""Use: what the commands of a scope did, and what is stored in it; counted with each finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.scope import Scope
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State

_PACKAGE, _RATE = "signalbox.commands.ledger", "rate.lua"
ALLOW = Script(_PACKAGE, _RATE, "allow.lua")
GIVE_BACK = Script(_PACKAGE, _RATE, "give_back.lua")
MONTH_KEPT_DAYS = 400


@dataclass(frozen=True)
class Usage:
    """What one finished command adds to the use of its scope."""

    scope: str
    """`kind/tenant/env`."""
    reads: int = 0
    writes: int = 0
    failures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    objects: int = 0
    """Change in stored objects and bytes, if the backend reports it; negative for a deletion."""
    bytes: int = 0
    health: str = ""
    """`ok` if the backend worked, the error code if it failed as a whole, otherwise empty."""

    def packed(self) -> str:
        """Return the form that finish.lua reads."""
        numbers = (self.reads, self.writes, self.failures, self.bytes_in, self.bytes_out)
        text = " ".join(map(str, (*numbers, self.objects, self.bytes)))
        return f"{self.scope} {text} {self.health}"


def together(uses: Sequence[Usage]) -> Usage | None:
    """Add up the use of commands of one scope; None if there is none. The last one determines the
    backend's health."""
    if not uses:
        return None
    return Usage(
        scope=uses[0].scope,
        reads=sum(use.reads for use in uses),
        writes=sum(use.writes for use in uses),
        failures=sum(use.failures for use in uses),
        bytes_in=sum(use.bytes_in for use in uses),
        bytes_out=sum(use.bytes_out for use in uses),
        objects=sum(use.objects for use in uses),
        bytes=sum(use.bytes for use in uses),
        health=next((use.health for use in reversed(uses) if use.health), ""),
    )


@dataclass(frozen=True)
class Use:
    """The counters of one scope. `objects` and `bytes` are what is stored there now.

    They are None where the backend does not report what a write replaces and the tenant has no
    quota that needs it. The other counters begin on the first of the month, in UTC.
    """

    objects: int | None
    bytes: int | None
    reads: int
    writes: int
    failures: int
    bytes_in: int
    bytes_out: int
    ok_at: datetime | None
    """When the backend last worked."""
    error_at: datetime | None
    """When it last failed as a whole: unreachable, refused, misconfigured."""
    error: str | None
    """Error code of that failure."""

    @property
    def health(self) -> str:
        """`ok`, the code of the last failure if nothing has worked since, or `unknown`."""
        if self.error_at and (self.ok_at is None or self.ok_at < self.error_at):
            return self.error or "unknown"
        return "ok" if self.ok_at else "unknown"


@dataclass(frozen=True)
class Demand:
    """What the commands of one tenant and env in a message need of its quotas."""

    tenant_id: str
    env: str
    stored_in: str
    """The scope whose stored objects and bytes are limited, as `kind/tenant/env`."""
    per_second: float | None
    commands: Sequence[tuple[str, int]]
    """Kind and seq of each command, in accepted order."""


@dataclass(frozen=True)
class Allowance:
    """The commands of a demand that may run now."""

    positions: Sequence[int]
    """For each command: 0 if it may run, otherwise its position among the waiting commands of its
    kind."""
    wait: float
    """Seconds until a token is available."""
    interval: float
    """Seconds between two tokens."""
    objects: int
    bytes: int
    """Objects and bytes stored now."""


class UsageBook:
    """Reads use and the state of quotas. Thread-safe. Methods raise StateUnavailable."""

    def __init__(self, client: State) -> None:
        self._client = client

    def allow(self, demands: Sequence[Demand]) -> list[Allowance]:
        """Return which commands of each demand may run now, and take their tokens (one trip)."""
        calls = []
        for demand in demands:
            tenant_env = f"{demand.tenant_id}/{demand.env}"
            arguments = [tenant_env, interval_of(demand.per_second), demand.stored_in]
            arguments += [part for command in demand.commands for part in command]
            calls.append(ALLOW.call([self._shard(demand.tenant_id, demand.env)], arguments))
        answers = run_pipeline(self._client, calls, [ALLOW])
        return [
            Allowance(positions, wait / 1e6, interval_of(demand.per_second) / 1e6, objects, size)
            for demand, (wait, objects, size, *positions) in zip(demands, answers, strict=True)
        ]

    def give_back(self, tokens: Mapping[tuple[str, str, float], int]) -> None:
        """Give back the tokens of commands that did not run after all, by tenant, env and rate."""
        calls = [
            GIVE_BACK.call(
                [self._shard(tenant_id, env)], [f"{tenant_id}/{env}", interval_of(rate), number]
            )
            for (tenant_id, env, rate), number in tokens.items()
        ]
        if calls:
            run_pipeline(self._client, calls, [GIVE_BACK])

    def read(self, scopes: Sequence[Scope], month: str | None = None) -> list[Use]:
        """Return the use of each scope in a month (`2026-11`; default: this one), in one round
        trip."""
        month = month or this_month()
        calls: list[tuple[str, ...]] = []
        for scope in scopes:
            key = f"{self._shard(scope.tenant_id, scope.env)}:use:{scope.field}"
            calls += [("HGETALL", key), ("HGETALL", f"{key}:{month}")]
        rows = run_pipeline(self._client, calls, [])
        return [
            _use(_fields(now), _fields(its)) for now, its in zip(rows[::2], rows[1::2], strict=True)
        ]

    def recount(self, scope: Scope, objects: int, size: int) -> None:
        """Set the stored amount to what was counted on the backend."""
        key = f"{self._shard(scope.tenant_id, scope.env)}:use:{scope.field}"
        run_pipeline(self._client, [("HSET", key, "objects", objects, "bytes", size)], [])

    def _shard(self, tenant_id: str, env: str) -> str:
        return shards_of(self._client).shard(tenant_id, env)


def interval_of(per_second: float | None) -> int:
    """Return the microseconds between two commands at this rate; 0 without a rate."""
    return max(1, round(1e6 / per_second)) if per_second else 0


def this_month() -> str:
    """The current month in UTC, as `2026-11`."""
    return datetime.now(UTC).strftime("%Y-%m")


def _fields(answer: object) -> dict[str, str]:
    """Convert the result of HGETALL in a plain pipeline: a dict, or a flat list with older
    protocols."""
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
