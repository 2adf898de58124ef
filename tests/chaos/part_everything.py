"""Everything at once: workers, both Redis and the routes are struck, under three tenants' load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from signalbox.commands.scope import ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.registry.registry import Registry
from tests.chaos.campaign import QUICK, Plan, embedded, open_when_all_is_over
from tests.chaos.forgetful import ForgetfulRedis
from tests.chaos.killer import Harm, Killer
from tests.chaos.load import ENV
from tests.chaos.mixed_load import TENANTS, MixedLoad
from tests.chaos.mixed_verdict import MixedVerdict, judge
from tests.chaos.part import Part, Play, Row
from tests.chaos.places import Place, Places, look
from tests.chaos.storm import Blows, Storm
from tests.chaos.strike import answer_of
from tests.conformance.s3_harness import s3_harness

BLOWS = Blows(kills=30, freezes=8, state_deaths=10, broker_deaths=10, switches=100)
FAULTS = (
    "claim.after=kill@0.001;take.after=kill@0.001;effect.after=kill@0.003;finish.after=kill@0.002"
)
KINDS = (ResourceKind.OBJECT_STORE, ResourceKind.EVENT_STREAM)


@dataclass(frozen=True)
class Came:
    """What came of a campaign."""

    verdict: MixedVerdict
    killer: Killer
    switches: int
    open: int
    dead: int


def everything(plan: Plan, blows: Blows) -> Play:
    """A campaign of it, as a row."""

    def play(folder: Path) -> Row:
        came = strike_everything(plan, blows, folder)
        verdict = came.verdict
        values = {
            "kills": came.killer.kills,
            "children": came.killer.child_deaths,
            "freezes": came.killer.freezes,
            "state deaths": blows.state_deaths,
            "broker deaths": blows.broker_deaths,
            "switches": came.switches,
            "commands": verdict.commands,
            "taken over": verdict.taken_over,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "disordered": verdict.disordered,
            "on an old route": verdict.stale,
            "failed": verdict.failed,
            "open": came.open,
            "left behind by a switch": verdict.left,
        }
        good = verdict.clean and came.open == came.dead == verdict.stale == 0
        return Row(values, good, verdict.notes)

    return play


def strike_everything(plan: Plan, blows: Blows, folder: Path) -> Came:
    """Load and blows, until there was enough of both; then the verdict."""
    with _servers(folder) as (state, broker, places):
        with embedded(plan, folder, broker.url, state.url) as stack, Client(Settings()) as client:
            scopes = [
                Scope(kind=kind, tenant_id=tenant, env=ENV) for tenant in TENANTS for kind in KINDS
            ]
            routes = Places(Registry(connect(state.url)), places, scopes)
            load, killer = (
                MixedLoad(client, plan.seed),
                Killer(stack, Harm(), plan.seed, folder / "logs"),
            )
            with ThreadPoolExecutor(1) as other:
                enough = threading.Event()
                loading = other.submit(load.run, enough, plan.commands_least, plan.pause)
                try:
                    Storm(stack, killer, state, broker, routes, plan.seed).run(blows)
                finally:
                    enough.set()
                while not loading.done():
                    killer.replace_the_fallen()
                    time.sleep(0.05)
                loading.result()
            left = open_when_all_is_over(client, killer)
            dead = client.ledger.totals()["dead_letters"]
            histories = routes.histories()
        verdict = MixedVerdict(commands=load.commands, failed=len(load.failed))
        for text in load.failed[:5]:
            verdict.note(text)
        found = {}
        for scope in scopes:
            for place in places[scope.kind]:
                # In a child: S3's client does not outlive the forks of other parts.
                there = answer_of(partial(look, scope, place, folder / "payloads"), folder)
                found[scope, place.name] = there
        judge(load.ended, histories, found, verdict)
    return Came(verdict, killer, sum(len(h) - 1 for h in histories.values()), left, dead)


@contextmanager
def _servers(
    folder: Path,
) -> Iterator[tuple[RedisServer, ForgetfulRedis, dict[ResourceKind, list[Place]]]]:
    """State, broker, and the places of each kind."""
    state, broker = RedisServer(folder / "state"), ForgetfulRedis(folder / "broker")
    state.start()
    try:
        broker.start()
        with s3_harness() as s3:
            yield (
                state,
                broker,
                {
                    ResourceKind.OBJECT_STORE: [
                        _folder(folder, "objects"),
                        Place("s3", "s3", s3.config),
                    ],
                    ResourceKind.EVENT_STREAM: [_folder(folder, "left"), _folder(folder, "right")],
                },
            )
    finally:
        broker.kill()
        state.stop()


def _folder(folder: Path, name: str) -> Place:
    return Place(name, "filesystem", {"base_dir": str(folder / name)})


def plan(seed: int, pool: str) -> Plan:
    return Plan(
        Harm(),
        workers=3,
        pool=pool,
        faults=FAULTS,
        seed=seed,
        commands_least=8_000,
        # Requests to S3 are signed to expire within the lease, in whole seconds.
        settings={**QUICK, "SIGNALBOX_LEASE": "5"},
    )


EVERYTHING_PART = Part(
    "everything",
    "Everything at once",
    f"""
Three tenants put, delete and append. Meanwhile, in random order:

- {BLOWS.kills} workers are killed, and more at fault points; {BLOWS.freezes} are frozen for
  longer than their lease;
- the state Redis is ended with SIGKILL {BLOWS.state_deaths} times, and restarted with the data
  that it had synced;
- the broker, another Redis without persistence, is ended {BLOWS.broker_deaths} times and loses
  all its messages;
- routes are switched {BLOWS.switches} times: objects between a folder and S3, streams between two
  folders.

At the end, each backend must hold for each key what the last command wrote whose outcome names
that backend. Each stream must contain the events whose outcomes name it, once and in order. *On
an old route* counts commands that ran on a route older than the one at their claim. *Left behind
by a switch* counts effects of an attempt whose worker died or was frozen, on a backend that the
route had left when another worker took the command over. The outcome names the other backend;
this is a documented limit ([architecture](architecture.md#limits-of-today)). Every other effect
that no outcome names counts as doubled.
""",
    {
        "threads": everything(plan(51, "threads"), BLOWS),
        "prefork": everything(plan(52, "prefork"), BLOWS),
    },
)
