"""RabbitMQ as the broker, Redis as the state: the same kills."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

from tests.chaos.campaign import Plan, UnderLoad, strike_under_load
from tests.chaos.killer import Harm
from tests.chaos.part import Part, Row, Value
from tests.chaos.part_redis import rest, until_consuming
from tests.chaos.rabbit import rabbit, rabbitmq

SERVER_KILLS = 3


def with_rabbitmq(folder: Path) -> Row:
    """A short campaign with quorum queues."""
    plan = Plan(
        Harm(kills=20, freezes=1, pause=0.8),
        commands_least=5000,
        workers=3,
        seed=41,
        faults="effect.after=kill@0.003;finish.after=kill@0.003",
    )
    with rabbitmq(folder) as url:
        scene = strike_under_load(plan, folder, lambda scene: scene.killer.run(), broker_url=url)
    verdict, killer = scene.verdict, scene.killer
    values = {
        "kills": killer.kills,
        "at fault points": killer.kills - killer.struck,
        "freezes": killer.freezes,
        "commands": verdict.commands,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "disordered": verdict.disordered,
        "failed": verdict.failed,
        "open": scene.open,
    }
    return Row(values, verdict.clean and scene.open == 0, verdict.notes)


def server_killed(folder: Path) -> Row:
    """The node itself is ended, again and again, and started on what it had written."""
    waits: list[float] = []

    def strike(scene: UnderLoad) -> None:
        chance = random.Random(43)
        while len(waits) < SERVER_KILLS:
            rest(scene, 1 + chance.random())
            broker.kill()
            rest(scene, chance.random())
            broker.start()
            waits.append(until_consuming(scene))

    plan = Plan(Harm(), commands_least=5000, workers=2, seed=43)
    with rabbit(folder) as broker:
        scene = strike_under_load(plan, folder, strike, broker_url=broker.url)
    verdict = scene.verdict
    values: dict[str, Value] = {
        "kills of the server": len(waits),
        "kills": scene.killer.kills,
        "commands": verdict.commands,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "disordered": verdict.disordered,
        "failed": verdict.failed,
        "open": scene.open,
        "consuming after, median s": statistics.median(waits),
        "at most s": max(waits),
    }
    return Row(values, verdict.clean and scene.open == scene.killer.kills == 0, verdict.notes)


RABBITMQ_PART = Part(
    "rabbitmq",
    "RabbitMQ as the broker",
    """
The broker is a single RabbitMQ node with quorum queues, and the state is on Redis. The kills are
those of the first part, but fewer. *Server killed*: the node is ended with SIGKILL under load and
restarted. No worker may end. *Consuming after* is the time from the node's first answer until
another command is done.

Choose RabbitMQ if you operate one already, if messages of services without our client must
survive the loss of a broker node before they are claimed, or if queues and state must be
separate. It adds no safety for what our client submits, since that is in the ledger before a
message is sent. With Redis alone there is one server less to operate.
""",
    {"threads": with_rabbitmq, "server killed": server_killed},
)
