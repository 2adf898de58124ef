"""Benchmarks that can be run alone as well, as parts: their numbers as figures with aims."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench, CannotMeasure
from benchmarks.pool import pool_cost
from benchmarks.s3_large import s3_large_cost
from benchmarks.s3_small import s3_small_cost

SMALL_AIM, LARGE_AIM, MEMORY_AIM = 8.0, 0.9, 64.0
TENANTS = {"t_waits": "commands that wait", "t_computes": "commands that compute"}


def s3_small(bench: Bench) -> list[Figure]:
    """Operations a second of processor time, adapter to bare boto3."""
    figures = []
    for name, ratio in s3_small_cost(bench.console).items():
        verb, threads = name.split("_")
        what = f"1 KiB {verb}, {threads} thread{'s' if threads != '1' else ''}, to bare boto3"
        figures.append(Figure(what, ratio, "x", least=SMALL_AIM, tolerance=NOISE))
    return figures


def s3_large(bench: Bench) -> list[Figure]:
    """Of 1 GiB: throughput to bare boto3, and memory."""
    answer = s3_large_cost(bench.console)
    ratio, memory = answer["throughput"], answer["memory_mib"]
    return [
        Figure("throughput to bare boto3", ratio, "x", least=LARGE_AIM, tolerance=NOISE),
        Figure("peak memory above idle", memory, "MiB", most=MEMORY_AIM),
    ]


def pools(bench: Bench) -> list[Figure]:
    """Commands a second of each pool of a worker."""
    figures = []
    for name, rate in pool_cost(bench.console).items():
        pool, slots, tenant, size = name.split()
        what = f"{pool}, {slots} slots, {TENANTS[tenant]}, {size} a submit"
        figures.append(Figure(what, rate, "commands/s"))
    return figures


def queues(bench: Bench) -> list[Figure]:
    """Signalbox beside other queues. Raises CannotMeasure if one of them is not there."""
    measure = _function("benchmarks.queues.compare", "queue_cost")
    return cast(list[Figure], measure(bench.console, bench.data, bench.seconds))


def _function(module: str, name: str) -> Callable[..., object]:
    try:
        return cast(Callable[..., object], getattr(import_module(module), name))
    except ImportError as error:
        raise CannotMeasure(f"{error}; `make env` brings what it needs") from error
