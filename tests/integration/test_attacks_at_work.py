"""Attacks on processes that run: a worker, a gateway and a Redis of their own.

`SIGNALBOX_TEST_ATTACKS` is the number in test_proof_attacks.py; here are some of each kind.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import httpx

from signalbox.commands.ledger.entry import Acceptance
from signalbox.commands.object_store import ListObjects, PutObject
from tests.integration.attacks.attacker import Attacker
from tests.integration.attacks.entrances import REGISTRY, Entrances
from tests.integration.attacks.sites import RunningSite, running_site
from tests.integration.conftest import wait_until
from tests.integration.signed_deployment import OWNER, put

SEED = 18
OTHERS, ON_REGISTRY = 60, 5
"""How many; each of the latter takes as long as a command that waits."""


def test_processes_withstand_attacks_at_every_entrance_and_go_on(tmp_path: Path) -> None:
    with running_site(tmp_path) as site:
        stack = site.running.stack
        address = stack.start_gateway(
            SIGNALBOX_GATEWAY_PORT="0",
            SIGNALBOX_GATEWAY_PRINCIPALS="required",
            SIGNALBOX_KEY_FILE=str(site.ring.files["gateway"]),
        )
        [worker], gateway = stack.workers, stack.gateway
        assert gateway is not None
        before = worker.pid, gateway.pid
        headers = {"Prefer": "respond-async"}
        with httpx.Client(base_url=address, timeout=120, headers=headers) as http:
            attacker = Attacker(site, SEED)
            attacker.collect()
            entrances = Entrances(attacker, http, lambda command: told(site, command))
            entrances.changes.observe()
            kinds = list(entrances.kinds)
            at_the_others = [each for each in kinds if each[0] != REGISTRY]
            on_registry = [each for each in kinds if each[0] == REGISTRY]
            for entrance, kind in attacker.random.sample(at_the_others, OTHERS):
                entrances.try_one(entrance, kind)
            site.wait_until_idle()
            for entrance, kind in attacker.random.sample(on_registry, ON_REGISTRY):
                entrances.try_one(entrance, kind)
        assert entrances.http.allowed == 0
        assert not site.evil.exists()
        with site.client(site.keys[OWNER]) as client:
            listed = client.run(ListObjects(tenant_id=OWNER, env="prod", prefix="attacked/"))
            assert listed.objects == []
            ours = [
                put(f"ours/{n}", b"ours", op_id=op_id) for n, op_id in enumerate(attacker.op_ids)
            ]
            submissions = client.submit_many(ours)
            taken = Counter(each.receipt.acceptance for each in submissions)
            assert taken.keys() <= {Acceptance.NEW, Acceptance.HELD}
            ended = Counter(
                outcome.status.value if outcome else "open"
                for outcome in site.settled(*ours, *entrances.honest)
            )
        assert ended == Counter(done=len(ours) + ON_REGISTRY)
        assert (worker.pid, gateway.pid) == before
        assert worker.running
        assert gateway.running


def told(site: RunningSite, command: PutObject) -> None:
    """Wait until a worker has said what becomes of it while the registry is as it was left."""

    def is_told() -> bool:
        [record], [outcome] = (
            site.ledger.records([command.ref]),
            site.ledger.outcomes([command.ref]),
        )
        return outcome is not None or (record is not None and record.waits_for is not None)

    wait_until(is_told, "it waits, or has run")
