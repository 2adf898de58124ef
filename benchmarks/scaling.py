"""docs/scaling.md: what many tenants and commands need, reckoned from the figures on record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.figure import spell
from benchmarks.record import DOCS, Kept
from signalbox.commands.ledger.op_id_sweep import SWEEPS
from signalbox.commands.ledger.shard import USUAL
from signalbox.workers.maintenance.cleaner import INTERVAL_SECONDS

PAGE, TEXT = "scaling.md", Path(__file__).with_name("scaling.md.template")
DAY = 86_400
TENANTS, KINDS, COMMANDS = 100_000, 4, 1_000_000_000
PEAK, BUSY, LATENCY = 3.0, 0.6, 5.0
"""The busiest second to the average one; how busy a core may be; seconds that a command is open."""
BATCH = 100
RETENTIONS = (24 * 3600, 3600, 600)
FORGOTTEN_AFTER = SWEEPS * INTERVAL_SECONDS
"""Seconds for which an op_id is in memory after its outcome is gone."""
NODE_GIB = 32.0
"""Data that a node may have."""
SHARDS = USUAL
SOURCES = {
    "client": ("batch", "of the client, 100 a submit"),
    "workers": ("batch", "of the workers, 100 a submit"),
    "redis": ("batch", "of Redis, 100 a submit"),
    "single": ("batch", "processor time, single"),
    "redis1": ("batch", "of Redis, single"),
    "node": ("nodes", "processor time of all, 3 nodes"),
    "written": ("ledger", "parcels: bytes written to the append-only file, 100 a call"),
    "open": ("ledger", "parcels: memory of an open command of 1 KiB, 100 a call"),
    "kept": (
        "ledger",
        "parcels: memory of a command that is done, while its outcome is kept, 100 a call",
    ),
    "kept1": (
        "ledger",
        "parcels: memory of a command that is done, while its outcome is kept, 1 a call",
    ),
    "route": ("control", "Redis for a route and its event"),
    "cached": ("control", "memory of a route in the cache"),
}
"""Each input: part and name of the figure."""
GIB, TIB = 2**30, 2**40


@dataclass(frozen=True)
class Input:
    """A figure that the page reckons with."""

    symbol: str
    value: float
    unit: str
    source: str


def inputs(record: Mapping[str, Kept]) -> dict[str, Input]:
    """Those that are on record."""
    found = {}
    for symbol, (part, name) in SOURCES.items():
        for figure in record[part].figures if part in record else []:
            if figure.name == name:
                source = f"`{part}`: {name}"
                found[symbol] = Input(symbol, figure.value, figure.unit, source)
    return found


def reckon(given: Mapping[str, float]) -> dict[str, float]:
    """All that the page says, from the inputs by their symbols; see the page for each formula."""
    average = COMMANDS / DAY
    peak = average * PEAK
    cores = {who: peak * given[who] / 1e6 / BUSY for who in ("client", "workers", "redis")}
    kept = {r: average * (r + FORGOTTEN_AFTER) * given["kept"] / GIB for r in RETENTIONS}
    kept1 = average * (RETENTIONS[0] + FORGOTTEN_AFTER) * given["kept1"] / GIB
    open_gib = peak * LATENCY * given["open"] / GIB
    routes_gib = TENANTS * KINDS * given["route"] / GIB
    one_redis = BUSY * 1e6 / given["redis"]
    by_cores, by_memory = cores["redis"], (kept[RETENTIONS[0]] + open_gib + routes_gib) / NODE_GIB
    nodes = max(1, math.ceil(max(by_cores, by_memory)))
    fullest = math.ceil(SHARDS / nodes)
    return {
        "average": average,
        "peak": peak,
        "client_cores": cores["client"],
        "worker_cores": cores["workers"],
        "redis_cores": by_cores,
        "ledger_cores": peak * given["node"] / 1e6 / BUSY,
        "one_redis": one_redis,
        "one_redis_day": one_redis * DAY / PEAK / 1e6,
        "single_cores": peak * given["single"] / 1e6 / BUSY,
        "single_redis_cores": peak * given["redis1"] / 1e6 / BUSY,
        "memory_nodes": by_memory,
        "nodes": float(nodes),
        "servers": 2.0 * nodes,
        "fullest": float(fullest),
        "fullest_busy": by_cores * BUSY * fullest / SHARDS * 100,
        "most_nodes_day": one_redis * SHARDS * DAY / PEAK / 1e9,
        "messages": peak / BATCH,
        "open_commands": peak * LATENCY,
        "open_gib": open_gib,
        "hour_open_gib": peak * 3600 * given["open"] / GIB,
        "routes": float(TENANTS * KINDS),
        "routes_gib": routes_gib,
        "cache_gib": TENANTS * KINDS * given["cached"] / GIB,
        "written_mib": peak * given["written"] / 2**20,
        "written_tib": COMMANDS * given["written"] / TIB,
        "sweep_hours": FORGOTTEN_AFTER / 3600,
        "kept1_86400": kept1,
        "kept1_nodes": kept1 / NODE_GIB,
        **{f"kept_{r}": gib for r, gib in kept.items()},
    }


def write(record: Mapping[str, Kept], folder: Path = DOCS) -> bool:
    """Write the page; False, and nothing is written, while one of its figures is not there."""
    found = inputs(record)
    if set(found) != set(SOURCES):
        return False
    results = reckon({symbol: each.value for symbol, each in found.items()})
    words = {f"r_{name}": spell(float(f"{value:.3g}")) for name, value in results.items()}
    words |= {f"i_{symbol}": spell(each.value) for symbol, each in found.items()}
    rows = [
        f"| `{each.symbol}` | {spell(each.value)} | {each.unit} | {each.source} |"
        for each in found.values()
    ]
    parts = sorted({part for part, _ in SOURCES.values()})
    text = Template(TEXT.read_text()).substitute(
        words,
        inputs="\n".join(rows),
        facts="\n".join(f"- `{part}`: {record[part].facts}" for part in parts),
    )
    (folder / PAGE).write_text(text)
    return True
