"""Forgets the op_ids of parcels whose outcomes are gone."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import Any

from commands.ledger.layout import shards_of
from commands.ledger.reader import parcel_of
from commands.ledger.row import batched
from commands.script import Script, run_pipeline
from commands.state import State

_FORGET = Script("commands.ledger", "parcel.lua", "forget.lua")
_PAGE = 1000
LOOKED_AT_MOST = 500_000
"""Entries that one sweep looks at: two seconds of Redis' time, in small pieces."""


def forget_old(client: State, kept: timedelta) -> int:
    """Forget op_ids that lead to no open parcel and to no outcomes; how many there were.

    Only those that were accepted longer ago than outcomes are kept (`kept`) may be forgotten. What
    one sweep does not come to is the next one's: each begins at another place. Raises
    StateUnavailable.
    """
    before = time.time_ns() // 1000 - int(kept.total_seconds() * 1_000_000)
    forgotten = looked_at = 0
    shards = list(shards_of(client).tags)
    random.shuffle(shards)
    for shard in shards:
        places = [name.decode() for name in client.scan(f"{shard}:ids:*", shard)]
        random.shuffle(places)
        for key in places:
            if looked_at >= LOOKED_AT_MOST:
                return forgotten
            old = []
            for op_id, entry in client.scan_hash(key):
                looked_at += 1
                if parcel_of(entry)[0] < before:
                    old.append((op_id, entry))
            place = key.split(":ids:", 1)[1]
            for page in batched(old, _PAGE):
                flat: list[Any] = [value for entry in page for value in entry]
                call = _FORGET.call([shard], [place, *flat])
                forgotten += sum(run_pipeline(client, [call], [_FORGET]))
    return forgotten
