"""Worker groups killed at random moments and at every fault point; plain Celery beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos.campaign import Plan, run
from tests.chaos.killer import Harm
from tests.chaos.part import Part, Play, Row
from tests.chaos.stock import run_stock
from tests.chaos.submitter import run_submitter

KILLS = 65
STOCK_KILLS = 50
"""It loses and doubles so many that fewer show it."""
LONG = "command.before=sleep:0.2@0.02"
# One point may hold one fault, so the two ends of a command take two plays.
POINTS = ";".join(
    [
        "claim.before=kill@0.003",
        "claim.after=kill@0.003",
        "take.after=kill@0.003",
        "batch.middle=kill@0.002",
        "effect.before=kill@0.0005",
        "effect.after=kill@0.005",
        "finish.after=kill@0.005",
        "due.after=kill@0.02",
        "command.before=kill@0.0005",
    ]
)


def a_campaign(plan: Plan) -> Play:
    """A campaign of our workers, as a row."""

    def play(folder: Path) -> Row:
        report = run(plan, folder)
        verdict = report.verdict
        return Row(
            {
                "kills": report.kills,
                "at fault points": report.kills - report.struck,
                "children": report.child_deaths,
                "freezes": report.freezes,
                "commands": verdict.commands,
                "lost": verdict.lost,
                "doubled": verdict.doubled,
                "disordered": verdict.disordered,
                "failed": verdict.failed,
                "open": report.open,
            },
            verdict.clean and report.open == 0,
            verdict.notes,
        )

    return play


def stock(pool: str) -> Play:
    """Plain Celery: its figures are for comparison, and break no promise of ours."""

    def play(folder: Path) -> Row:
        verdict, _ = run_stock(folder, kills=STOCK_KILLS, pool=pool, pause=0.8)
        return Row(
            {
                "kills": STOCK_KILLS,
                "commands": verdict.commands,
                "lost": verdict.lost,
                "doubled": verdict.doubled,
            },
            good=True,
            promised=False,
        )

    return play


def plan(seed: int, **fields: Any) -> Plan:
    harm = Harm(kills=KILLS, freezes=2, pause=0.8)
    return Plan(harm, workers=3, seed=seed, **{"commands_least": 13_000} | fields)


KILLS_PART = Part(
    "kills",
    "Killed workers",
    """
All workers are ended with SIGKILL at random moments, and others are frozen for longer than their
lease (3 s here), while commands of all four kinds run: objects and rows that are created once,
objects and rows that are written and deleted repeatedly, points, and events. Half of the
submissions are single commands, the others are batches of up to 100.

- *Long*: one command in fifty takes 200 ms.
- *At fault points*: kills at random at each named point of a command's life
  (`commands/fault.py`). With prefork this mostly ends the child process.
- *Killed clients*: processes that die between the ledger's answer and the wake-ups. Half of them
  submit the same commands again.
- Plain Celery has the settings that its documentation recommends for this: late acknowledgement,
  reject on worker lost, prefetch 1, and a visibility timeout of 10 s. It uses the same Redis, and
  each task appends and syncs one line.
""",
    {
        "threads": a_campaign(plan(seed=11)),
        "threads, singles": a_campaign(plan(seed=12, batches=(1,), commands_least=3_000)),
        "threads, long": a_campaign(plan(seed=13, faults=LONG)),
        "threads, at fault points": a_campaign(plan(seed=14, faults=POINTS)),
        "prefork": a_campaign(plan(seed=15, pool="prefork")),
        "prefork, long": a_campaign(plan(seed=16, pool="prefork", faults=LONG)),
        "prefork, at fault points": a_campaign(plan(seed=17, pool="prefork", faults=POINTS)),
        "killed clients": run_submitter,
        "plain Celery, threads": stock("threads"),
        "plain Celery, prefork": stock("prefork"),
    },
)
