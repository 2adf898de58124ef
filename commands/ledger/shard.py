"""Over which hash tags the ledger's keys are spread."""

from __future__ import annotations

import zlib

SHARDS = 16
"""Hash tags over which scopes are spread. Fixed: another number would hide what is stored."""


def shard_of(ref: str) -> str:
    """The hash tag under which all of a tenant and env's ledger keys stand."""
    tenant_id, env, _ = ref.split("/", 2)
    return shard_for(tenant_id, env)


def shard_for(tenant_id: str, env: str) -> str:
    return f"{{l{zlib.crc32(f'{tenant_id}/{env}'.encode()) % SHARDS:02}}}"


def all_shards() -> list[str]:
    return [f"{{l{number:02}}}" for number in range(SHARDS)]
