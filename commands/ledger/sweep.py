"""Forgets the op_ids of parcels whose outcomes are gone."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import redis

from commands.ledger.reader import parcel_of
from commands.ledger.row import batched
from commands.ledger.shard import all_shards
from commands.script import Script, run_pipeline
from commands.state import state_errors

_FORGET = Script("commands.ledger", "parcel.lua", "forget.lua")
_PAGE = 1000


def forget_old(client: redis.Redis, kept: timedelta) -> int:
    """Forget op_ids that lead to no open parcel and to no outcomes; how many there were.

    Only those that were accepted longer ago than outcomes are kept are looked at. Raises
    StateUnavailable.
    """
    before = time.time_ns() // 1000 - int(kept.total_seconds() * 1_000_000)
    forgotten = 0
    with state_errors():
        for shard in all_shards():
            places = client.scan_iter(match=f"{shard}:ids:*", count=_PAGE)
            for key in [name.decode() for name in places]:
                place = key.split(":ids:", 1)[1]
                entries = client.hscan_iter(key, count=_PAGE)
                old = [(op_id, e) for op_id, e in entries if parcel_of(e)[0] < before]
                for page in batched(old, _PAGE):
                    flat: list[Any] = [value for entry in page for value in entry]
                    call = _FORGET.call([shard], [place, *flat])
                    forgotten += sum(run_pipeline(client, [call], [_FORGET]))
    return forgotten
