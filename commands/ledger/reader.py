"""What the ledger knows, for those who ask: nothing here changes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import redis

from commands.ledger.entry import Record
from commands.ledger.row import RECORD_FIELDS, batched, read_record
from commands.ledger.shard import all_shards, shard_of
from commands.outcome import Outcome
from commands.script import run_pipeline
from commands.state import state_errors

FAR = 9e15
"""The due time of a command that is held; see hold.lua."""


class LedgerReader:
    """Outcomes, records and counts. Thread-safe; each method raises StateUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def outcomes(self, refs: Sequence[str]) -> list[Outcome | None]:
        """The outcome of each, or None while it is open or when it is not known."""
        calls = [("HGET", _record_key(ref), "out") for ref in refs]
        return [
            Outcome.model_validate_json(text) if text else None
            for text in run_pipeline(self._client, calls, [])
        ]

    def records(self, refs: Sequence[str]) -> list[Record | None]:
        """All that is known of each command, None where nothing is."""
        calls = [("HMGET", _record_key(ref), *RECORD_FIELDS) for ref in refs]
        rows = run_pipeline(self._client, calls, [])
        return [read_record(ref, row) for ref, row in zip(refs, rows, strict=True)]

    def find(self, op_id: str) -> list[str]:
        """Refs with this op_id, whatever their tenant; looks through all keys, so for people."""
        escaped = re.sub(r"([*?\[\]\\^-])", r"\\\1", op_id)
        with state_errors():
            keys = list(self._client.scan_iter(match=f"*:op:*/{escaped}", count=1000))
        return sorted(key.decode().split(":op:", 1)[1] for key in keys)

    def totals(self) -> dict[str, int]:
        """Counts over all shards, with `open`, `held` and `dead_letters` as they stand now."""
        calls: list[tuple[Any, ...]] = [("HGET", f"{s}:era", "ahead") for s in all_shards()]
        (seconds, _), *aheads = run_pipeline(self._client, [("TIME",), *calls], [])
        calls = []
        for shard, ahead in zip(all_shards(), aheads, strict=True):
            now = int(seconds) * 1000 + int(ahead or 0)
            calls += [
                ("HGETALL", f"{shard}:count"),
                ("ZCARD", f"{shard}:due"),
                ("ZCARD", f"{shard}:dead"),
                ("ZCOUNT", f"{shard}:due", "-inf", now),
                ("ZCOUNT", f"{shard}:due", FAR, "+inf"),
            ]
        totals = Counter[str]()
        rows = batched(run_pipeline(self._client, calls, []), 5)
        for counts, open_, dead, overdue, held in rows:
            totals.update({name.decode(): int(value) for name, value in counts.items()})
            totals.update({"open": open_, "dead_letters": dead, "overdue": overdue, "held": held})
        return dict(totals)


def _record_key(ref: str) -> str:
    return f"{shard_of(ref)}:op:{ref}"
