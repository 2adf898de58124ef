"""Lines: commands that wait for their tenant's rate, and are let go as its bucket fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from signalbox.commands.ledger.entry import Wake
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.script_reply import read_wakes
from signalbox.commands.ledger.usage import interval_of
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.settings import Settings
from signalbox.commands.state import State

PACE = Script("signalbox.commands.ledger", "time.lua", "rate.lua", "pace.lua")

MAX_FREED = 400
"""Commands of a tenant and env whose rate was lifted that are on their way at once."""
QUIET_TURNS = 4
"""A line that begins is found after so many turns at most."""

TenantEnv = tuple[str, str]
"""Tenant and env."""


class RateQueues:
    """The lines of all tenants. Methods raise StateUnavailable."""

    def __init__(self, client: State, settings: Settings) -> None:
        self._client = client
        self._busy: set[str] | None = None
        """Shards in which some waited the last time; None before the first look."""
        self._turn = 0
        self._grace_ms = int(settings.publish_grace.total_seconds() * 1000)

    def waiting(self, shards: Sequence[str] | None = None) -> dict[TenantEnv, list[str]]:
        """The kinds of each tenant and env of which some wait, in one round trip; in these shards
        alone, where they are given."""
        found: dict[TenantEnv, list[str]] = {}
        tags = shards_of(self._client).tags if shards is None else shards
        calls = [("SMEMBERS", f"{shard}:lines") for shard in tags]
        for scopes in run_pipeline(self._client, calls, []):
            for scope in sorted(scopes):
                tenant_id, env, kind = scope.decode().split("/")
                found.setdefault((tenant_id, env), []).append(kind)
        return found

    def waiting_lately(self) -> dict[TenantEnv, list[str]]:
        """The same at less cost, for a look every so often: where nothing waited the last time is
        looked at in every fourth turn only; the first look is at all."""
        tags = shards_of(self._client)
        self._turn = (self._turn + 1) % QUIET_TURNS
        turn = [t for n, t in enumerate(tags.tags) if n % QUIET_TURNS == self._turn]
        busy = tags.tags if self._busy is None else self._busy
        found = self.waiting(list(dict.fromkeys([*busy, *turn])))
        self._busy = {tags.shard(*tenant_env) for tenant_env in found}
        return found

    def let_go(
        self, waiting: Mapping[TenantEnv, list[str]], rates: Mapping[str, float | None]
    ) -> list[Wake]:
        """Those whose turn has come, at the rate of each tenant (None: it has none any more)."""
        by_shard: dict[str, list[str | int]] = {}
        shards = shards_of(self._client)
        for (tenant_id, env), kinds in waiting.items():
            shard = shards.shard(tenant_id, env)
            arguments = by_shard.setdefault(shard, [self._grace_ms, MAX_FREED])
            interval = interval_of(rates[tenant_id])
            arguments += [f"{tenant_id}/{env}", interval, " ".join(kinds)]
        calls = [PACE.call([shard], arguments) for shard, arguments in by_shard.items()]
        answers = run_pipeline(self._client, calls, [PACE])
        return [wake for woken in answers for wake in read_wakes(woken)]
