"""What one tenant's backlog, or a backend that hangs, does to others."""

from __future__ import annotations

import zlib
from pathlib import Path

from signalbox.producers.embedded.s3_stand_in import S3StandIn
from tests.chaos.load import ENV
from tests.chaos.part import Part, Play, Row, Value
from tests.chaos.relay import Relay
from tests.chaos.testbed import open_testbed, p99, put

BACKLOG = 100_000
SAMPLES = 300
MAX_SLOWER = 3.0
HANG_SECONDS = 60.0
MAX_LOSS = 0.2
SHARDS = 4


def noisy(same_queue: bool) -> Play:
    """A backlog beside single commands, whose tenant shares the backlog's queue or does not."""

    def play(folder: Path) -> Row:
        noisy_tenant = "t_noisy"
        shard = zlib.crc32(f"{noisy_tenant}/{ENV}".encode()) % SHARDS
        quiet = next(
            tenant
            for tenant in (f"t_quiet{number}" for number in range(1000))
            if (zlib.crc32(f"{tenant}/{ENV}".encode()) % SHARDS == shard) is same_queue
        )
        with open_testbed(folder) as testbed:
            testbed.route(noisy_tenant)
            testbed.route(quiet)
            testbed.waits(quiet, 20, 30)
            idle = testbed.waits(quiet, SAMPLES, 120)
            # Nothing is taken while the backlog is made: it would never become one.
            with testbed.frozen():
                for first in range(0, BACKLOG, 500):
                    testbed.client.submit_many(
                        put(noisy_tenant, f"k{first + n}") for n in range(500)
                    )
            open_then = testbed.client.ledger.totals()["open"]
            busy = testbed.waits(quiet, SAMPLES, 60)
            open_after = testbed.client.ledger.totals()["open"]
        factor = p99(busy) / p99(idle)
        values = {
            "idle p99 ms": 1000 * p99(idle),
            "p99 ms beside it": 1000 * p99(busy),
            "times": factor,
            "samples": len(busy),
            "open at first": open_then,
            "open at last": open_after,
        }
        return Row(values, factor <= MAX_SLOWER)

    return play


def hanging(folder: Path) -> Row:
    """An S3 that accepts connections and never answers, beside a folder that works."""
    stand_in = S3StandIn(folder / "s3")
    stand_in.start()
    relay = Relay(int(stand_in.endpoint_url.rpartition(":")[2]))
    relay.silent = True
    try:
        with open_testbed(folder) as testbed:
            testbed.route("t_up")
            testbed.route(
                "t_hangs",
                "s3",
                bucket="hangs",
                region="us-east-1",
                endpoint_url=f"http://127.0.0.1:{relay.port}",
                credentials_file=str(stand_in.credentials_file),
            )
            testbed.throughput("t_up", 5)
            before = testbed.throughput("t_up", 30)
            testbed.client.submit_many(put("t_hangs", f"k{number}") for number in range(300))
            beside = testbed.throughput("t_up", HANG_SECONDS)
            relay.silent = False
            testbed.throughput("t_up", 30)  # until what hangs has timed out
            after = testbed.throughput("t_up", 30)
    finally:
        relay.close()
        stand_in.stop()
    # The machine is shared: what it gives before and after, together, is the measure.
    loss = 1 - beside / ((before + after) / 2)
    values: dict[str, Value] = {
        "commands/s before": before,
        "beside it": beside,
        "after it": after,
        "lost": f"{100 * loss:.0f} %",
    }
    return Row(values, loss <= MAX_LOSS)


NOISY_PART = Part(
    "noisy",
    "A tenant with a backlog",
    f"""
One tenant has {BACKLOG:,} open commands. Another tenant submits single commands and waits for
each before the next. Its p99 may be at most {MAX_SLOWER:g} times that without the backlog. There
are {SHARDS} queues for each kind (`SIGNALBOX_TENANT_SHARDS`); the other tenant uses the same
queue as the backlog, or another one. Most of a backlog waits in the ledger and not on a queue
(`SIGNALBOX_TENANT_WINDOW`).
""",
    {"another queue": noisy(False), "the same queue": noisy(True)},
)
HANGING_PART = Part(
    "hanging",
    "A backend that hangs",
    f"""
The S3 endpoint of one tenant accepts connections but does not answer for {HANG_SECONDS:g} s,
while 300 commands for it are open. The throughput of another tenant, whose data are in a folder,
may fall by at most {100 * MAX_LOSS:g} %.
""",
    {"hanging S3": hanging},
)
