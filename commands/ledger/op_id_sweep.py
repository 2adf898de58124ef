"""Removes op_ids of parcels whose outcomes are gone."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.ledger.reader import parcel_of
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State
from signalbox.commands.vocabulary import ENV_PATTERN, TENANT_PATTERN

FORGET = Script("signalbox.commands.ledger", "parcel.lua", "forget.lua")
_PAGE = 1000
_PLACE = re.compile(f"{TENANT_PATTERN.pattern}/{ENV_PATTERN.pattern}", re.ASCII)
LOOKED_AT_LEAST = 500_000
"""Minimum number of entries that one sweep looks at: two seconds of Redis' time, in small pieces.
"""
SWEEPS = 36
"""A sweep of a larger ledger looks at this fraction of all entries. With one sweep every ten
minutes, an op_id stays in memory for six hours longer than its outcome, whatever the load."""


def forget_old(client: State, kept: timedelta) -> int:
    """Remove op_ids that refer to no open parcel and to no outcomes; return how many.

    Only those that were accepted longer ago than outcomes are kept (`kept`) may be removed. A sweep
    looks at a random choice of tenants and envs. Raises StateUnavailable.
    """
    before = time.time_ns() // 1000 - int(kept.total_seconds() * 1_000_000)
    tenant_envs = [
        (s, tenant_env) for s in shards_of(client).tags for tenant_env in _tenant_envs(client, s)
    ]
    random.shuffle(tenant_envs)
    sizes = _sizes(client, tenant_envs)
    left = max(LOOKED_AT_LEAST, sum(sizes) // SWEEPS)
    forgotten = 0
    for (shard, tenant_env), size in zip(tenant_envs, sizes, strict=True):
        if left <= 0:
            break
        if size:
            forgotten += _forget(client, shard, tenant_env, before)
        left -= size
    return forgotten


def _tenant_envs(client: State, shard: str) -> list[str]:
    """Return all tenants and envs that ever had something open, since a search would look at every
    key."""
    names = (name.decode() for name, _ in client.scan_hash(f"{shard}:open"))
    return list({name for name in names if _PLACE.fullmatch(name)})


def _sizes(client: State, tenant_envs: Sequence[tuple[str, str]]) -> list[int]:
    sizes: list[int] = []
    for page in batched(tenant_envs, _PAGE):
        sizes += client.run([("HLEN", _ids(*each)) for each in page])
    return sizes


def _forget(client: State, shard: str, tenant_env: str, before: int) -> int:
    """Look at all op_ids of a tenant and env; return how many were removed."""
    forgotten = 0
    old: list[Any] = []

    def forget() -> int:
        flat = [value for entry in old for value in entry]
        old.clear()
        return sum(run_pipeline(client, [FORGET.call([shard], [tenant_env, *flat])], [FORGET]))

    for op_id, entry in client.scan_hash(_ids(shard, tenant_env)):
        if parcel_of(entry)[0] < before:
            old.append((op_id, entry))
        if len(old) == _PAGE:
            forgotten += forget()
    return forgotten + (forget() if old else 0)


def _ids(shard: str, tenant_env: str) -> str:
    return f"{shard}:ids:{tenant_env}"
