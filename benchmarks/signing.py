"""What signatures cost: the same puts, signed and required, beside the same unsigned ones."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from benchmarks.figure import Figure, Spread
from benchmarks.part import Bench
from benchmarks.routes import by
from benchmarks.testbed import ENV, Cost, Testbed, for_seconds, open_testbed, puts
from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import Principal, PrincipalKey, Role
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import administrator, trust_of
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import connect_to
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

TENANT = "t_bench"
ROWS = ((1, 50, "single", 25.0), (100, 400, "100 a submit", 15.0))
"""Commands a submit, and on their way; the name; and the most that signatures may add, percent."""
ROUNDS = 20
"""Turns of the signed testbed a row, each between two of the unsigned one."""


def signing_cost(bench: Bench) -> list[Figure]:
    """Processor time a command of both, in turns, and by how much it grows.

    Each signed turn is compared with the mean of the unsigned ones before and after it, so that
    other load on the machine, which comes and goes, falls on both sides of a ratio.
    """
    figures: list[Figure] = []
    seconds = bench.seconds * 3 / 8
    with _off(bench.data / "off") as plain, _required(bench.data / "required") as signed:
        for it in (plain, signed):
            it.run(puts(TENANT, 100) for _ in range(40))
        for size, ahead, name, most in ROWS:
            turn = partial(_turn, size=size, ahead=ahead, seconds=seconds)
            without, having = [turn(plain)], list[Cost]()
            for _ in range(ROUNDS):
                having.append(turn(signed))
                without.append(turn(plain))
            figures += _figures(name, most, without, having)
    return figures


def _turn(it: Testbed, size: int, ahead: int, seconds: float) -> Cost:
    return it.cost(for_seconds(TENANT, size, seconds), ahead)


def _figures(
    name: str, most: float, without: Sequence[Cost], having: Sequence[Cost]
) -> list[Figure]:
    beside = [(a.micros + b.micros) / 2 for a, b in pairwise(without)]
    more = Spread([100 * (cost.micros / own - 1) for cost, own in zip(having, beside, strict=True)])
    low, high = more.at(25), more.at(75)
    return [
        Figure(f"unsigned, {name}", _middle(without, "cpu"), "µs a command"),
        Figure(f"signed, {name}", _middle(having, "cpu"), "µs a command"),
        *(
            Figure(
                f"signed, {name}, more in the {part}",
                _middle(having, part) - _middle(without, part),
                "µs a command",
            )
            for part in ("client", "workers")
        ),
        Figure(f"signatures add, {name}", more.median, "%", most=most, low=low, high=high),
    ]


def _middle(costs: Sequence[Cost], part: str) -> float:
    """Microseconds a command of one of the fields of `Spent`, in the median."""
    return statistics.median(1e6 * cost.each(getattr(cost.spent, part)) for cost in costs)


@contextmanager
def _off(folder: Path) -> Iterator[Testbed]:
    folder.mkdir()
    with open_testbed(folder) as it:
        it.route(TENANT)
        yield it


@contextmanager
def _required(folder: Path) -> Iterator[Testbed]:
    """Workers that want signatures, and a client whose key the roster has."""
    folder.mkdir()
    admin, producer = PrivateKey.new(), PrivateKey.new()
    paths = {name: folder / f"{name}.key" for name in ("admin", "producer")}
    admin.save(paths["admin"])
    producer.save(paths["producer"])
    trust = folder / "trust.json"
    keys = [administrator("alice", admin.public)]
    trust.write_text(json.dumps({"keys": keys, "signatures": Signatures.REQUIRED}))
    own = {"SIGNALBOX_TRUST_FILE": str(trust), "SIGNALBOX_AUDIENCE": "bench"}
    before = dict(os.environ)
    os.environ.update(own)
    try:
        with open_testbed(folder, key_file=paths["producer"]) as it:
            settings = it.settings.model_copy(update={"key_file": paths["admin"]})
            registry = Registry(connect_to(settings), trust_of(settings))
            registry.principals.add(
                Principal(
                    name="bench",
                    keys=[PrincipalKey(x=encode(producer.public.raw))],
                    roles=[Role.PRODUCER],
                    tenants=[TENANT],
                ),
                by(),
            )
            registry.set(
                Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANT, env=ENV),
                RouteTarget("filesystem", {"base_dir": str(folder / "stored")}, Mode.LAB),
                by(),
            )
            yield it
    finally:
        os.environ.clear()
        os.environ.update(before)
