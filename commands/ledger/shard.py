"""The hash tags over which the ledger's keys are spread."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cache

from redis.crc import key_slot

from signalbox.commands.ref import Ref, split_ref

BEFORE = 16
"""Number of shards of a ledger from before the number was recorded."""
USUAL = 64
"""Number of shards of a new ledger. Each shard costs one read of its due times in every run of the
reconciler, and a node of a cluster has at least the load of one shard."""
_SLOTS = 16384


_TAG = re.compile(r"\{l[0-9]{2,3}(-[0-9]{1,6})?\}", re.ASCII)


def is_tag(text: object) -> bool:
    """Return whether this may be the tag of a ledger's shard."""
    return isinstance(text, str) and _TAG.fullmatch(text) is not None


@dataclass(frozen=True)
class Shards:
    """The hash tags of a ledger; each has the keys of some tenants and envs."""

    number: int
    """Number of shards."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The hash tags, one for each shard."""
        return _tags(self.number)

    def of(self, ref: Ref) -> str:
        """Return the tag of all ledger keys of a tenant and env."""
        tenant_id, env, _ = split_ref(ref)
        return self.shard(tenant_id, env)

    def shard(self, tenant_id: str, env: str) -> str:
        return self.tags[zlib.crc32(f"{tenant_id}/{env}".encode()) % self.number]


@cache
def _tags(number: int) -> tuple[str, ...]:
    """One tag in each of that many equal parts of a cluster's slots, so nodes with equal numbers of
    slots have equal numbers of tags. The names of 16 tags are older than this rule."""
    if number == BEFORE:
        return tuple(f"{{l{n:02}}}" for n in range(number))
    return tuple(_tag(n, number) for n in range(number))


def _tag(n: int, number: int) -> str:
    tries = 0
    while True:
        tag = f"{{l{n:02}-{tries}}}"
        if key_slot(tag.encode()) * number // _SLOTS == n:
            return tag
        tries += 1
