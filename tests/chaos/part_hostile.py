"""What one tenant's endpoint that drips does to others, and to that tenant's own commands."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import GetObject
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import connect
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.chaos.load import ENV
from tests.chaos.part import Part, Play, Row, Value
from tests.chaos.testbed import Testbed, open_testbed, p99, put
from tests.hostile.server import Behaviour, Visit, serve
from tests.hostile.slow import drips_the_body, drips_the_status, reads_a_byte_at_a_time

COMMANDS = 12
IDLE_SECONDS = 20.0
HOSTILE_SECONDS = 45.0
MAX_SLOWER = 2.0
END_SECONDS = 120.0
HOSTILE, GOOD = "t_hostile", "t_good"


def drips(visit: Visit) -> None:
    """The content of what is read, and the answer to everything else."""
    (drips_the_body if visit.method == "GET" else drips_the_status)(visit)


def hostile(behaviour: Behaviour) -> Play:
    """Gets and puts of a tenant whose endpoint behaves like that, beside another's puts."""

    def play(folder: Path) -> Row:
        stand_in = S3StandIn(folder / "s3")
        stand_in.start()
        config: dict[str, Any] = {
            "bucket": "hostile",
            "region": "us-east-1",
            "credentials_file": str(stand_in.credentials_file),
        }
        try:
            stand_in.create_bucket("hostile")
            with serve(behaviour) as server, open_testbed(folder) as testbed:
                testbed.route(GOOD)
                testbed.route(HOSTILE, "s3", endpoint_url=server.endpoint, **config)
                testbed.waits(GOOD, 20, 30)
                idle = testbed.waits(GOOD, 100_000, IDLE_SECONDS)
                # Reads end with their deadline at the latest; writes wait until it is well again.
                deadline = datetime.now(UTC) + timedelta(seconds=HOSTILE_SECONDS)
                gets = testbed.client.submit_many(
                    GetObject(tenant_id=HOSTILE, env=ENV, key=f"g{number}", deadline=deadline)
                    for number in range(COMMANDS)
                )
                puts = testbed.client.submit_many(put(HOSTILE, f"k{n}") for n in range(COMMANDS))
                beside = testbed.waits(GOOD, 100_000, HOSTILE_SECONDS)
                requests = len(server.visits)
                read = testbed.client.wait(gets, timedelta(seconds=END_SECONDS))
                _mend(testbed, config | {"endpoint_url": stand_in.endpoint_url})
                written = testbed.client.wait(puts, timedelta(seconds=END_SECONDS))
                lost = COMMANDS - _there(testbed)
                still_open = _open_after(testbed)
        finally:
            stand_in.stop()
        ends = Counter(
            outcome.error.code if outcome.error else "OK" for outcome in read if outcome is not None
        )
        untyped = COMMANDS - sum(ends.values()) + ends["OK"] + ends["INTERNAL_ERROR"]
        done = sum(1 for outcome in written if outcome is not None and outcome.error is None)
        factor = p99(beside) / p99(idle)
        values: dict[str, Value] = {
            "idle p99 ms": 1000 * p99(idle),
            "p99 ms beside it": 1000 * p99(beside),
            "times": factor,
            "samples": len(beside),
            "requests that met it": requests,
            "gets without a typed end": untyped,
            "puts done": done,
            "lost": lost,
            "open": still_open,
        }
        kept = factor <= MAX_SLOWER and (untyped, lost, still_open) == (0, 0, 0)
        notes = ["gets ended with " + ", ".join(f"{count} {code}" for code, count in ends.items())]
        return Row(values, kept and done == COMMANDS and requests > 0, notes)

    return play


def _mend(testbed: Testbed, config: dict[str, Any]) -> None:
    """The tenant's route leads to an S3 that is well."""
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=HOSTILE, env=ENV)
    Registry(connect(testbed.stack.addresses["state"])).switch(
        scope,
        RouteTarget("s3", config, Mode.LAB),
        Change(actor="chaos", reason="chaos", change_id=new_op_id()),
    )


def _there(testbed: Testbed) -> int:
    """How many of the puts have their content."""
    reads = testbed.client.submit_many(
        GetObject(tenant_id=HOSTILE, env=ENV, key=f"k{number}") for number in range(COMMANDS)
    )
    outcomes = testbed.client.wait(reads, timedelta(seconds=END_SECONDS))
    return sum(1 for outcome in outcomes if outcome is not None and outcome.error is None)


def _open_after(testbed: Testbed) -> int:
    """Commands that the ledger still holds when everything should be over."""
    until = time.monotonic() + END_SECONDS
    while (left := testbed.client.ledger.totals()["open"]) and time.monotonic() < until:
        time.sleep(0.2)
    return left


HOSTILE_PART = Part(
    "hostile",
    "Hostile endpoints",
    f"""
The S3 endpoint of one tenant answers, or reads, one byte every 50 ms without end. {COMMANDS} gets
(with a deadline) and {COMMANDS} puts of that tenant are submitted at once. For
{HOSTILE_SECONDS:g} s another tenant submits single small puts to a folder, one after the other.
Its p99 may be at most {MAX_SLOWER:g} times that of the {IDLE_SECONDS:g} s before. Every get must
end with a typed error. Then the route is switched to a working S3 endpoint, and every put must
take effect.
""",
    {"drips": hostile(drips), "reads a byte at a time": hostile(reads_a_byte_at_a_time)},
)
