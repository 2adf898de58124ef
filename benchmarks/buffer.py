"""The client's buffer against single submits: one thread that has one command at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench
from benchmarks.testbed import TIMEOUT, Testbed, open_testbed, puts
from signalbox.commands.object_store import PutObject
from signalbox.producers.client.buffered_command import Pending
from signalbox.producers.client.submission import Submission

TENANT = "t_bench"
Rates = tuple[float, float]
"""Commands a second that were accepted, and that were done."""


def buffer_cost(bench: Bench) -> list[Figure]:
    """Commands a second by `submit` and by `buffer.add`, and the ratios."""
    with open_testbed(bench.data) as it:
        it.route(TENANT)
        it.run(puts(TENANT, 100) for _ in range(20))
        single = _single(it, bench.seconds)
        buffered = _buffered(it, bench.seconds)
    figures = []
    for word, one, many in zip(("accepted", "done"), single, buffered, strict=True):
        figures += [
            Figure(f"{word}, submitted one by one", one, "commands/s"),
            Figure(f"{word}, added to a buffer one by one", many, "commands/s"),
            Figure(f"{word}, buffer to single submits", many / one, "x", tolerance=NOISE),
        ]
    return figures


def _single(it: Testbed, seconds: float) -> Rates:
    submissions: list[Submission] = []
    return _rates(
        it, seconds, lambda put: submissions.append(it.client.submit(put)), lambda: submissions
    )


def _buffered(it: Testbed, seconds: float) -> Rates:
    with it.client.buffer() as buffer:
        pending: list[Pending] = []

        def end() -> list[Submission]:
            buffer.flush(TIMEOUT)
            return [each.submission() for each in pending]

        return _rates(it, seconds, lambda put: pending.append(buffer.add(put)), end)


def _rates(
    it: Testbed,
    seconds: float,
    send: Callable[[PutObject], None],
    end: Callable[[], list[Submission]],
) -> Rates:
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        [put] = puts(TENANT, 1)
        send(put)
    submissions = end()
    accepted = time.perf_counter() - started
    outcomes = it.client.wait(submissions, max(TIMEOUT, timedelta(seconds=10 * seconds)))
    done = time.perf_counter() - started
    if any(outcome is None or outcome.error is not None for outcome in outcomes):
        raise RuntimeError("a put was not done")
    return len(submissions) / accepted, len(submissions) / done
