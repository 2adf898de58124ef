"""With 1, 2 and 4 worker processes: throughput, and what a command costs."""

from __future__ import annotations

from benchmarks.figure import Figure
from benchmarks.part import Bench
from benchmarks.testbed import for_seconds, open_testbed, puts

TENANT, BATCH = "t_bench", 100
PROCESSES = (1, 2, 4)


def process_growth(bench: Bench) -> list[Figure]:
    """Batches of 100 durable 1 KiB puts."""
    figures, alone = [], 0.0
    for number in PROCESSES:
        with open_testbed(bench.data / str(number), workers=number) as it:
            it.route(TENANT)
            it.run([puts(TENANT, BATCH) for _ in range(10 * number)])
            cost = it.cost(for_seconds(TENANT, BATCH, bench.seconds))
        alone = alone or cost.rate
        figures += [
            Figure(f"throughput, {_spell(number)}", cost.rate, "commands/s"),
            Figure(
                f"processor time, {_spell(number)}",
                cost.micros,
                "µs of CPU a command",
                series="worker processes",
                at=number,
            ),
        ]
        if number > 1:
            ratio = cost.rate / alone
            figures.append(Figure(f"throughput, {number} processes to 1", ratio, "x"))
    return figures


def _spell(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
