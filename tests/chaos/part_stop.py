"""Workers told to stop under load, as a deployment or a scale-down does."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from pathlib import Path

from tests.chaos.campaign import Plan, UnderLoad, strike_under_load
from tests.chaos.killer import Harm
from tests.chaos.part import Part, Play, Row

STOPS = 25
GONE_WITHIN = 30.0


def stops(pool: str, faults: str = "") -> Play:
    """SIGTERM to one worker after the other, each followed by another."""

    def play(folder: Path) -> Row:
        waits: list[float] = []

        def strike(scene: UnderLoad) -> None:
            chance = random.Random(9)
            while len(waits) < STOPS:
                time.sleep(0.5 + chance.random() / 2)
                worker = scene.stack.workers.pop(0)
                started = time.monotonic()
                os.kill(worker.pid, signal.SIGTERM)
                while worker.running and time.monotonic() - started < 2 * GONE_WITHIN:
                    time.sleep(0.02)
                waits.append(time.monotonic() - started)
                worker.kill()
                scene.stack.start_worker()

        plan = Plan(
            Harm(), commands_least=3000, workers=3, pool=pool, faults=faults, seed=31, pause=0.05
        )
        scene = strike_under_load(plan, folder, strike)
        verdict = scene.verdict
        values = {
            "stops": len(waits),
            "commands": verdict.commands,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "disordered": verdict.disordered,
            "failed": verdict.failed,
            "open": scene.open,
            "dead letters": scene.dead,
            "gone after, median s": statistics.median(waits),
            "at most s": max(waits),
        }
        good = verdict.clean and scene.open == scene.dead == 0 and max(waits) <= GONE_WITHIN
        return Row(values, good, verdict.notes)

    return play


STOP_PART = Part(
    "stop",
    "Workers told to stop",
    f"""
A worker under load receives SIGTERM, {STOPS} times in each row, and is replaced by another. Each
must have ended within {GONE_WITHIN:g} s.
""",
    {
        "threads": stops("threads"),
        "prefork": stops("prefork"),
    },
)
