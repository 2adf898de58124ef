"""Reads what a claim would return for reads, in one round trip and without writing anything."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from signalbox.commands.clock import lease_clock
from signalbox.commands.ledger.entry import Claimed, Claims
from signalbox.commands.ledger.fences import FENCE_KEY, FenceQuestion, Fences
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.model import Command
from signalbox.commands.scope import scope_of
from signalbox.commands.script import run_pipeline
from signalbox.commands.state import State

TenantEnv = tuple[str, str]
"""Tenant and env."""


@dataclass(frozen=True)
class Bucket:
    """How much of the rate of a tenant and env is used, according to the ledger; see rate.lua."""

    now: int
    """Time of the state Redis' clock, in microseconds."""
    full_at: float
    """When the bucket is full again, on the same clock; 0 if it is full."""
    waiting: frozenset[str]
    """Kinds with commands that wait for the rate."""


@dataclass(frozen=True)
class ReadClaims:
    """Reads with the fences under which they run, and the buckets of their tenants and envs."""

    claims: Claims
    """The reads as claimed commands, in the given order."""
    buckets: dict[TenantEnv, Bucket]
    """Buckets by tenant and env."""
    about: Hashable
    """What was asked: equal for reads of the same scopes."""
    answers: Sequence[Any]
    """What the state has answered, but for the time."""


def claim_reads(client: State, commands: Sequence[Command], seconds: Sequence[float]) -> ReadClaims:
    """Read routes, policies and rates now; each read may run for its number of `seconds`.

    Sees every change of a route that was acknowledged before, like a worker's claim. One round trip
    for all. Raises StateUnavailable.
    """
    scopes = frozenset((command.kind, command.tenant_id, command.env) for command in commands)
    question = _question_about(scopes, shards_of(client))
    # The answers include every change that was acknowledged before this was sent.
    started = lease_clock()
    time, *answers = run_pipeline(client, question.calls, [])
    found = question.read(time, answers)
    claimed_at = datetime.fromtimestamp(found.now / 1e6, UTC)
    claimed = [
        Claimed(
            command=command,
            token="",
            seq=0,
            mark=0,
            attempt=1,
            counted=1,
            deadline=started + duration,
            claimed_at=claimed_at,
            fence=found.fences.routes[command.scope.field],
        )
        for command, duration in zip(commands, seconds, strict=True)
    ]
    fences = found.fences
    claims = Claims(claimed=claimed, policies=fences.policies, epoch=fences.epoch, lost=found.lost)
    return ReadClaims(claims, found.buckets, question.about, answers)


@dataclass(frozen=True)
class _Found:
    now: int
    lost: dict[str, str]
    buckets: dict[TenantEnv, Bucket]
    fences: Fences


@dataclass(frozen=True)
class _Question:
    """The calls of the state Redis that tell all about some scopes."""

    about: Hashable
    tenant_envs: Sequence[TenantEnv]
    lines: Sequence[tuple[str, str, str]]
    """Tenant, env and kind of each scope."""
    shards: Sequence[str]
    fences: FenceQuestion
    calls: Sequence[tuple[Any, ...]]

    def read(self, time: tuple[int, int], answer: Sequence[Any]) -> _Found:
        """Return what was answered; `time` is in seconds and microseconds."""
        answers = iter(answer)
        time_s, time_us = map(int, time)
        lost = {shard: reason.decode() for shard in self.shards if (reason := next(answers))}
        full = {tenant_env: float(next(answers) or 0) for tenant_env in self.tenant_envs}
        waiting = [line for line in self.lines if next(answers)]
        now = time_s * 1_000_000 + time_us
        buckets = {
            (tenant, env): Bucket(
                now, full_at, frozenset(kind for t, e, kind in waiting if (t, e) == (tenant, env))
            )
            for (tenant, env), full_at in full.items()
        }
        return _Found(now, lost, buckets, self.fences.read(next(answers)))


@lru_cache(maxsize=4096)
def _question_about(scopes: frozenset[tuple[str, str, str]], tags: Shards) -> _Question:
    """Return the question about these scopes (kind, tenant and env)."""
    fences = FenceQuestion.of(scope_of(*scope).field for scope in scopes)
    tenant_envs = sorted({(tenant, env) for _, tenant, env in scopes})
    lines = sorted((tenant, env, kind) for kind, tenant, env in scopes)
    shard = {tenant_env: tags.shard(*tenant_env) for tenant_env in tenant_envs}
    shards = sorted(set(shard.values()))
    calls: list[tuple[Any, ...]] = [
        State.time_call(FENCE_KEY),
        *(("HGET", f"{each}:era", "lost") for each in shards),
        *(("HGET", f"{shard[t, e]}:rate:{t}/{e}", "full") for t, e in tenant_envs),
        *(("EXISTS", f"{shard[t, e]}:line:{t}/{e}/{kind}") for t, e, kind in lines),
        fences.call(),
    ]
    return _Question((scopes, tags), tenant_envs, lines, shards, fences, calls)
