"""One campaign: load, harm, and the verdict when all is quiet again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route, RouteTarget
from tests.chaos.journal import Journal, Verdict
from tests.chaos.killer import Harm, Killer
from tests.chaos.load import BATCHES, ENV, TENANT, Load
from tests.chaos.remains import remains
from tests.chaos.verdict import Auditor

QUICK = {
    # Short, so that a kill costs seconds: what a dead worker held comes back soon.
    "SIGNALBOX_LEASE": "3",
    "SIGNALBOX_PUBLISH_GRACE": "2",
    "SIGNALBOX_RETRY_DELAY": "0.2",
    # A command may be struck more often than any real one.
    "SIGNALBOX_MAX_ATTEMPTS": "100",
    "SIGNALBOX_MAX_DEATHS": "100",
    "SIGNALBOX_LOG_LEVEL": "error",
}


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
    batches: tuple[int, ...] = BATCHES
    """Sizes of what is submitted together, each as likely as the next."""
    pause: float = 0.0
    """Seconds between submissions: what lasts long is to end with a number that can be checked."""
    settings: dict[str, str] = field(default_factory=lambda: QUICK)


@dataclass(frozen=True)
class Report:
    """What came of it."""

    plan: Plan
    verdict: Verdict
    kills: int
    struck: int
    """Of the kills, those of the killer's own; the others died at fault points."""
    freezes: int
    child_deaths: int
    """Prefork children that died at fault points, beside the kills."""
    open: int
    """Commands that the ledger holds when all is over."""
    seconds: float
    quiet_after: float
    """Seconds from the last blow until nothing was open any more."""


@dataclass
class UnderLoad:
    """A stack with a load on it, and a killer that replaces workers that end."""

    stack: EmbeddedStack
    client: Client
    killer: Killer
    verdict: Verdict = field(default_factory=Verdict)
    open: int = 0
    dead: int = 0
    """Dead letters; messages that were none are among them."""
    seconds: float = 0.0
    quiet_after: float = 0.0


def run(plan: Plan, folder: Path) -> Report:
    """Play the plan in a folder of its own."""
    scene = strike_under_load(plan, folder, lambda scene: scene.killer.run())
    return Report(
        plan,
        scene.verdict,
        scene.killer.kills,
        scene.killer.struck,
        scene.killer.freezes,
        scene.killer.child_deaths,
        scene.open,
        scene.seconds,
        scene.quiet_after,
    )


def strike_under_load(
    plan: Plan,
    folder: Path,
    strike: Callable[[UnderLoad], None],
    broker_url: str | None = None,
    state_url: str | None = None,
) -> UnderLoad:
    """Load, until `strike` is over and enough is submitted; then the verdict."""
    with embedded(plan, folder, broker_url, state_url) as stack:
        routes = route_all(stack, folder)
        journal = Journal()
        started = time.monotonic()
        with Client(Settings()) as client:
            load = Load(client, journal, plan.seed, plan.batches)
            killer = Killer(stack, plan.harm, plan.seed, folder / "logs")
            scene = UnderLoad(stack, client, killer)
            with ThreadPoolExecutor(1) as other:
                struck_enough = threading.Event()
                loading = other.submit(_load_until, struck_enough, load, journal, plan)
                try:
                    strike(scene)
                except BaseException:
                    load.give_up()
                    raise
                finally:
                    struck_enough.set()
                struck = time.monotonic()
                while not loading.done():
                    killer.replace_the_fallen()
                    time.sleep(0.05)
                loading.result()
            quiet = time.monotonic()
            scene.seconds, scene.quiet_after = quiet - started, quiet - struck
            load.judge(scene.verdict)
            scene.open = open_when_all_is_over(client, killer)
            scene.dead = client.ledger.totals()["dead_letters"]
            if not scene.open:
                look_for_remains(client, scene.verdict)
        Auditor(routes, folder / "payloads").judge(journal, scene.verdict)
        return scene


@contextmanager
def embedded(
    plan: Plan, folder: Path, broker_url: str | None = None, state_url: str | None = None
) -> Iterator[EmbeddedStack]:
    """The plan's stack, and an environment in which clients find it."""
    with (
        environment(plan.settings | {"SIGNALBOX_FAULTS": plan.faults}),
        EmbeddedStack(
            folder,
            workers=plan.workers,
            flower=False,
            broker_url=broker_url,
            state_url=state_url,
            worker_options=["-P", plan.pool],
        ) as stack,
    ):
        os.environ.update(stack.environment)
        yield stack


def _load_until(enough: threading.Event, load: Load, journal: Journal, plan: Plan) -> None:
    while not enough.is_set() or journal.accepted < plan.commands_least:
        load.step()
        time.sleep(plan.pause)
    load.finish()


def open_when_all_is_over(client: Client, killer: Killer) -> int:
    """What is still open a while after the last outcome was seen."""
    deadline = time.monotonic() + 60
    while (left := client.ledger.totals()["open"]) and time.monotonic() < deadline:
        killer.replace_the_fallen()
        time.sleep(0.1)
    return left


def look_for_remains(client: Client, verdict: Verdict) -> None:
    left = remains(client.state)
    verdict.remains = len(left)
    for name in left:
        verdict.note(f"{name} is left, and nothing is open")


def route_all(stack: EmbeddedStack, folder: Path) -> dict[ResourceKind, Route]:
    registry = Registry(connect(stack.addresses["state"]))
    return {
        kind: registry.set(
            Scope(kind=kind, tenant_id=TENANT, env=ENV),
            RouteTarget("filesystem", {"base_dir": str(folder / "data")}, Mode.LAB),
            Change(actor="chaos", reason="chaos", change_id=new_op_id()),
        )
        for kind in ResourceKind
    }


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """These variables, and what else is set inside, until the end of the block."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
