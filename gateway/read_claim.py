"""Reads what a claim would return for reads, in one round trip and without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from signalbox.commands.clock import lease_clock
from signalbox.commands.ledger.entry import Claimed, Claims
from signalbox.commands.ledger.fences import FENCE_KEY, FenceQuestion
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.model import Command
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


def claim_reads(client: State, commands: Sequence[Command], seconds: Sequence[float]) -> ReadClaims:
    """Read routes, policies and rates now; each read may run for its number of `seconds`.

    Sees every change of a route that was acknowledged before, like a worker's claim. One round trip
    for all. Raises StateUnavailable.
    """
    asked = FenceQuestion.of(command.scope.field for command in commands)
    tenant_envs = sorted({(command.tenant_id, command.env) for command in commands})
    lines = sorted({(command.tenant_id, command.env, command.kind) for command in commands})
    tags = shards_of(client)
    shards = {tenant_env: tags.shard(*tenant_env) for tenant_env in tenant_envs}
    all_shards = sorted(set(shards.values()))
    calls: list[tuple[Any, ...]] = [client.time_call(FENCE_KEY)]
    calls += [("HGET", f"{shard}:era", "lost") for shard in all_shards]
    calls += [("HGET", f"{shards[p]}:rate:{p[0]}/{p[1]}", "full") for p in tenant_envs]
    calls += [
        ("EXISTS", f"{shards[tenant, env]}:line:{tenant}/{env}/{kind}")
        for tenant, env, kind in lines
    ]
    # It includes every change that was acknowledged before this was sent.
    calls.append(asked.call())
    started = lease_clock()
    answers = iter(run_pipeline(client, calls, []))
    time_s, time_us = map(int, next(answers))
    lost = {shard: reason.decode() for shard in all_shards if (reason := next(answers))}
    full = {tenant_env: float(next(answers) or 0) for tenant_env in tenant_envs}
    in_line = [line for line in lines if next(answers)]
    fences = asked.read(next(answers))
    now = time_s * 1_000_000 + time_us
    claimed_at = datetime.fromtimestamp(now / 1e6, UTC)
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
            fence=fences.routes[command.scope.field],
        )
        for command, duration in zip(commands, seconds, strict=True)
    ]
    buckets = {
        (tenant, env): Bucket(
            now,
            full[tenant, env],
            frozenset(kind for t, e, kind in in_line if (t, e) == (tenant, env)),
        )
        for tenant, env in tenant_envs
    }
    claims = Claims(claimed=claimed, policies=fences.policies, epoch=fences.epoch, lost=lost)
    return ReadClaims(claims, buckets)
