"""What signatures cost: the same puts, signed and required, beside the same unsigned ones."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.part import Bench
from benchmarks.routes import by
from benchmarks.testbed import ENV, Testbed, for_seconds, open_testbed, puts
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
ROUNDS = 5


def signing_cost(bench: Bench) -> list[Figure]:
    """Processor time a command of both, in turns, and by how much it grows."""
    figures: list[Figure] = []
    seconds = bench.seconds / 2
    with _off(bench.data / "off") as plain, _required(bench.data / "required") as signed:
        for it in (plain, signed):
            it.run(puts(TENANT, 100) for _ in range(20))
        for size, ahead, name, most in ROWS:
            costs: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                without = plain.cost(for_seconds(TENANT, size, seconds), ahead).micros
                costs.append(
                    (without, signed.cost(for_seconds(TENANT, size, seconds), ahead).micros)
                )
            more = statistics.median(100 * (b / a - 1) for a, b in costs)
            figures += [
                Figure(f"unsigned, {name}", statistics.median(a for a, _ in costs), "µs a command"),
                Figure(f"signed, {name}", statistics.median(b for _, b in costs), "µs a command"),
                Figure(f"signatures add, {name}", more, "%", most=most),
            ]
    return figures


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
