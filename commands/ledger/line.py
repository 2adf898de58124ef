"""Lines: commands that wait for their tenant's rate, and are let go as its bucket fills."""

from __future__ import annotations

from collections.abc import Mapping

import redis

from commands.ledger.entry import Wake
from commands.ledger.row import read_wakes
from commands.ledger.shard import all_shards, shard_for
from commands.ledger.usage import interval_of
from commands.script import Script, run_pipeline
from commands.settings import Settings

_PACE = Script("commands.ledger", "time.lua", "rate.lua", "pace.lua")

FREED_MOST = 400
"""Commands of a tenant and env whose rate was lifted that are on their way at once."""

Place = tuple[str, str]
"""Tenant and env."""


class Lines:
    """The lines of all tenants. Methods raise StateUnavailable."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._grace_ms = int(settings.publish_grace.total_seconds() * 1000)

    def waiting(self) -> dict[Place, list[str]]:
        """The kinds of each tenant and env of which some wait, in one round trip."""
        found: dict[Place, list[str]] = {}
        calls = [("SMEMBERS", f"{shard}:lines") for shard in all_shards()]
        for scopes in run_pipeline(self._client, calls, []):
            for scope in sorted(scopes):
                tenant_id, env, kind = scope.decode().split("/")
                found.setdefault((tenant_id, env), []).append(kind)
        return found

    def let_go(
        self, waiting: Mapping[Place, list[str]], rates: Mapping[str, float | None]
    ) -> list[Wake]:
        """Those whose turn has come, at the rate of each tenant (None: it has none any more)."""
        by_shard: dict[str, list[str | int]] = {}
        for (tenant_id, env), kinds in waiting.items():
            arguments = by_shard.setdefault(shard_for(tenant_id, env), [self._grace_ms, FREED_MOST])
            interval = interval_of(rates[tenant_id])
            arguments += [f"{tenant_id}/{env}", interval, " ".join(kinds)]
        calls = [_PACE.call([shard], arguments) for shard, arguments in by_shard.items()]
        answers = run_pipeline(self._client, calls, [_PACE])
        return [wake for woken in answers for wake in read_wakes(woken)]
