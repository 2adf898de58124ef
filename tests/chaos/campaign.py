"""One campaign: load, harm, and the verdict when all is quiet again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from commands.model import new_op_id
from commands.scope import Mode, ResourceKind, Scope
from commands.settings import Settings
from commands.state import connect
from producers.client import Client
from producers.embedded.stack import EmbeddedStack
from routing.registry import Registry
from routing.route import Route
from tests.chaos.journal import Journal, Verdict
from tests.chaos.killer import Harm, Killer
from tests.chaos.load import ENV, TENANT, Load
from tests.chaos.verdict import Auditor


@dataclass(frozen=True)
class Plan:
    """What a campaign does."""

    harm: Harm
    commands_least: int = 0
    workers: int = 2
    pool: str = "threads"
    faults: str = ""
    """Armed in the workers: see commands/fault.py."""
    seed: int = 1
    restarts: int = 0
    """Of Redis, with SIGKILL."""
    settings: dict[str, str] = field(
        default_factory=lambda: {
            # Short, so that a kill costs seconds: what a dead worker held comes back soon.
            "SIGNALBOX_LEASE": "3",
            "SIGNALBOX_PUBLISH_GRACE": "2",
            "SIGNALBOX_RETRY_DELAY": "0.2",
            # A command may be struck more often than any real one.
            "SIGNALBOX_MAX_ATTEMPTS": "100",
            "SIGNALBOX_MAX_DEATHS": "100",
            "SIGNALBOX_LOG_LEVEL": "error",
        }
    )


@dataclass(frozen=True)
class Report:
    """What came of it."""

    plan: Plan
    verdict: Verdict
    kills: int
    freezes: int
    restarts: int
    seconds: float
    quiet_after: float
    """Seconds from the last blow until nothing was open any more."""


def run(plan: Plan, folder: Path) -> Report:
    """Play the plan in a folder of its own."""
    environment = plan.settings | {"SIGNALBOX_FAULTS": plan.faults}
    with ExitStack() as running:
        running.enter_context(_environment(environment))
        stack = running.enter_context(
            EmbeddedStack(
                folder, workers=plan.workers, flower=False, worker_options=["-P", plan.pool]
            )
        )
        os.environ.update(stack.environment)
        routes = _route(stack, folder)
        journal, verdict = Journal(), Verdict()
        started = time.monotonic()
        with Client(Settings()) as client:
            load = Load(client, journal, plan.seed)
            killer = Killer(stack, plan.harm, plan.seed)
            with ThreadPoolExecutor(1) as other:
                struck_enough = threading.Event()
                loading = other.submit(_load_until, struck_enough, load, journal, plan)
                try:
                    killer.run()
                finally:
                    struck_enough.set()
                struck = time.monotonic()
                loading.result()
            quiet = time.monotonic()
            load.judge(verdict)
        Auditor(routes, folder / "payloads").judge(journal, verdict)
        return Report(
            plan,
            verdict,
            killer.kills,
            killer.freezes,
            0,
            quiet - started,
            quiet - struck,
        )


def _load_until(enough: threading.Event, load: Load, journal: Journal, plan: Plan) -> None:
    while not enough.is_set() or journal.accepted < plan.commands_least:
        load.step()
    load.finish()


def _route(stack: EmbeddedStack, folder: Path) -> dict[ResourceKind, Route]:
    registry = Registry(connect(stack.addresses["state"]))
    return {
        kind: registry.set(
            Scope(kind=kind, tenant_id=TENANT, env=ENV),
            "filesystem",
            {"base_dir": str(folder / "data")},
            mode=Mode.LAB,
            actor="chaos",
            reason="chaos",
            change_id=new_op_id(),
        )
        for kind in ResourceKind
    }


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
