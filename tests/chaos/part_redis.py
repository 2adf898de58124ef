"""Redis killed and restarted under load, and connections to it that go silent."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from signalbox.commands.error import StateUnavailable
from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.chaos.campaign import QUICK, Plan, UnderLoad, environment, strike_under_load
from tests.chaos.killer import Harm
from tests.chaos.load import ENV, TENANT
from tests.chaos.part import Part, Play, Row
from tests.chaos.relay import Relay
from tests.chaos.write import replace

RESTARTS = 50
CONSUMING_WITHIN = 10.0
SILENCES = 4
NOTICED_WITHIN = 60.0


def restarts(pool: str, times: int) -> Play:
    """Redis, broker and state in one, dies again and again."""

    def play(folder: Path) -> Row:
        waits: list[float] = []

        def strike(scene: UnderLoad) -> None:
            chance = random.Random(7)
            while len(waits) < times:
                rest(scene, 0.5 + chance.random())
                scene.stack.redis.kill()
                scene.stack.redis.start()
                waits.append(until_consuming(scene))

        plan = Plan(Harm(), commands_least=5000, pool=pool, seed=21)
        scene = strike_under_load(plan, folder, strike)
        verdict = scene.verdict
        values = {
            "restarts": len(waits),
            "commands": verdict.commands,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "disordered": verdict.disordered,
            "failed": verdict.failed,
            "open": scene.open,
            "workers ended": scene.killer.kills,
            "consuming after, median s": statistics.median(waits),
            "at most s": max(waits),
        }
        good = (
            verdict.clean
            and scene.open == scene.killer.kills == 0
            and max(waits) <= CONSUMING_WITHIN
        )
        return Row(values, good, verdict.notes)

    return play


def rest(scene: UnderLoad, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        scene.killer.replace_the_fallen()
        time.sleep(0.05)


def until_consuming(scene: UnderLoad) -> float:
    """Seconds from the moment that Redis answers until one more command is done."""
    started = time.monotonic()
    before: int | None = None
    while time.monotonic() - started < 12 * CONSUMING_WITHIN:
        with suppress(StateUnavailable):  # at first connections of before are still found broken
            done = scene.client.ledger.totals().get("done", 0)
            before = done if before is None else before
            if done > before:
                break
        rest(scene, 0.05)
    return time.monotonic() - started


def silences(folder: Path) -> Row:
    """The worker's connections go silent, as when a firewall forgets them; new ones work."""
    server = RedisServer(folder / "redis")
    server.start()
    relay = Relay(server.port)
    url = f"redis://127.0.0.1:{relay.port}/0"
    quick = QUICK | {
        "SIGNALBOX_STATE_URL": server.url,
        "SIGNALBOX_BROKER_URL": server.url,
    }
    waits: list[float] = []
    try:
        with (
            environment(quick),
            EmbeddedStack(folder, workers=1, flower=False, state_url=url, broker_url=url),
            Client(Settings()) as client,
        ):
            scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANT, env=ENV)
            Registry(connect(server.url)).set(
                scope,
                RouteTarget("filesystem", {"base_dir": str(folder / "data")}, Mode.LAB),
                Change(actor="chaos", reason="chaos", change_id=new_op_id()),
            )
            run: Callable[[], object] = lambda: client.run_outcome(  # noqa: E731 - used twice
                replace("k", "v"), timedelta(seconds=3 * NOTICED_WITHIN)
            ).unwrap()
            run()
            for _ in range(SILENCES):
                relay.silence()
                started = time.monotonic()
                run()
                waits.append(time.monotonic() - started)
    finally:
        relay.close()
        server.stop()
    values = {
        "silences": len(waits),
        "consuming after, median s": statistics.median(waits),
        "at most s": max(waits),
    }
    return Row(values, max(waits) <= NOTICED_WITHIN)


REDIS_PART = Part(
    "redis",
    "Redis killed, and connections gone silent",
    f"""
Redis, which is both broker and state, is ended with SIGKILL under load and restarted with the
data that it had synced. *Consuming after* is the time from its first answer until another command
is done; at most {CONSUMING_WITHIN:g} s are promised, and that no worker ends. *Silent
connections*: all connections of a worker stay open but transmit nothing any more, while new
connections work. The worker must notice within {NOTICED_WITHIN:g} s.
""",
    {
        "threads": restarts("threads", RESTARTS),
        "prefork": restarts("prefork", RESTARTS // 5),
        "silent connections": silences,
    },
)
