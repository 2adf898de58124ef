"""A short campaign: workers killed, frozen and struck at fault points; `make chaos` plays more."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.campaign import Plan, run
from tests.chaos.far_replica import fail_over
from tests.chaos.killer import Harm
from tests.chaos.part_cluster import fail_over_nodes, move_slots, strike_state
from tests.chaos.part_everything import FAULTS as POINTS
from tests.chaos.part_everything import strike_everything
from tests.chaos.part_gateway import strike_the_gateway
from tests.chaos.storm import Blows
from tests.conftest import need_redis
from tests.redis_cluster import RedisCluster

PAUSE = 0.1
"""Between batches: the blows take their time, and a load as fast as it goes finds nothing more."""
FAULTS = ";".join(
    f"{point}=kill@{chance}"
    for point, chance in {
        "take.after": 0.003,
        "claim.after": 0.003,
        "effect.after": 0.005,
        "finish.after": 0.003,
    }.items()
)


def test_commands_of_all_kinds_take_effect_once_while_their_workers_are_killed(
    tmp_path: Path,
) -> None:
    need_redis()
    plan = Plan(
        Harm(kills=7, freezes=1), commands_least=1500, workers=3, faults=FAULTS, seed=3, pause=PAUSE
    )
    report = run(plan, tmp_path)
    assert (report.verdict.clean, report.verdict.notes, report.open) == (True, [], 0)
    assert report.kills >= 7
    assert report.verdict.commands >= 1500


def test_workers_state_broker_and_routes_are_struck_at_once(tmp_path: Path) -> None:
    need_redis()
    blows = Blows(kills=2, freezes=1, state_deaths=1, broker_deaths=2, switches=10)
    plan = Plan(Harm(), commands_least=800, workers=2, faults=POINTS, seed=4, pause=PAUSE)
    came = strike_everything(plan, blows, tmp_path)
    verdict = came.verdict
    assert (verdict.clean, verdict.stale, verdict.notes) == (True, 0, [])
    assert (came.open, came.dead) == (0, 0)
    assert came.switches > 0
    assert came.killer.kills >= 2


def test_what_a_gateway_answered_for_is_there_once_while_it_is_killed(tmp_path: Path) -> None:
    need_redis()
    struck = strike_the_gateway(tmp_path, kills=2, seed=5, least=100)
    assert (struck.verdict.clean, struck.verdict.notes, struck.open) == (True, [], 0)
    assert struck.answered >= 100


def test_a_node_of_the_state_is_killed_and_a_slot_is_moved_under_load(tmp_path: Path) -> None:
    need_redis()
    with RedisCluster(tmp_path / "cluster") as cluster:
        blows = iter([fail_over_nodes(cluster), move_slots(cluster)])
        scene, _ = strike_state(
            cluster.url,
            lambda scene, chance: next(blows)(scene, chance),
            2,
            tmp_path / "stack",
            least=300,
        )
    assert (scene.verdict.clean, scene.verdict.notes) == (True, [])
    assert (scene.open, scene.dead) == (0, 0)
    assert scene.killer.kills == 0


def test_a_promoted_replica_knows_all_that_was_acknowledged(tmp_path: Path) -> None:
    need_redis()
    told, lost = fail_over(tmp_path, replicas=1, rest=0.5)
    assert told > 0
    assert lost == 0
