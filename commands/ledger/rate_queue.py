"""Rate queues (`:line:` in Redis): commands that wait for their tenant's rate, and are released as
its token bucket fills."""

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
"""Maximum number of released commands of a tenant and env that are on their way, if its rate was
lifted."""
QUIET_RUNS = 4
"""Maximum number of calls of `waiting_lately` after which a new rate queue is found."""

TenantEnv = tuple[str, str]
"""Tenant and env."""


class RateQueues:
    """The rate queues of all tenants. Methods raise StateUnavailable."""

    def __init__(self, client: State, settings: Settings) -> None:
        self._client = client
        self._busy: set[str] | None = None
        """Shards that had waiting commands in the last call; None before the first."""
        self._run = 0
        self._grace_ms = int(settings.publish_grace.total_seconds() * 1000)

    def waiting(self, shards: Sequence[str] | None = None) -> dict[TenantEnv, list[str]]:
        """Return the kinds with waiting commands of each tenant and env, in one round trip; only in
        `shards` if given."""
        found: dict[TenantEnv, list[str]] = {}
        tags = shards_of(self._client).tags if shards is None else shards
        calls = [("SMEMBERS", f"{shard}:lines") for shard in tags]
        for scopes in run_pipeline(self._client, calls, []):
            for scope in sorted(scopes):
                tenant_id, env, kind = scope.decode().split("/")
                found.setdefault((tenant_id, env), []).append(kind)
        return found

    def waiting_lately(self) -> dict[TenantEnv, list[str]]:
        """Do the same at less cost, for regular calls.

        Shards where nothing waited last time are read only in every fourth call, and all in the
        first.
        """
        tags = shards_of(self._client)
        self._run = (self._run + 1) % QUIET_RUNS
        quiet = [t for n, t in enumerate(tags.tags) if n % QUIET_RUNS == self._run]
        busy = tags.tags if self._busy is None else self._busy
        found = self.waiting(list(dict.fromkeys([*busy, *quiet])))
        self._busy = {tags.shard(*tenant_env) for tenant_env in found}
        return found

    def let_go(
        self, waiting: Mapping[TenantEnv, list[str]], rates: Mapping[str, float | None]
    ) -> list[Wake]:
        """Release the commands that each tenant's rate allows now (None: no rate any more)."""
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
