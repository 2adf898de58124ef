"""Attacks at every entrance: nothing of them runs, none takes an op_id, and no worker ends.

`SIGNALBOX_TEST_ATTACKS` says how many there are: some hundreds ordinarily, 10,000 for the table in
docs/security.md, which `pytest -s` prints.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from signalbox.commands.error import RegistryRegressed, RegistryUnproven, RegistryUnreadable
from signalbox.commands.ledger.entry import Acceptance
from signalbox.commands.object_store import PutObject
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.gateway.app import gated, make_app
from signalbox.gateway.services import Services
from signalbox.gateway.settings import GatewaySettings
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.pipeline_types import Admitted
from tests.integration.attacks.attacker import Attacker
from tests.integration.attacks.changes import OBJECTS, SCOPE
from tests.integration.attacks.entrances import Entrances
from tests.integration.attacks.sites import AttackedDeployment
from tests.integration.attacks.table import ENTRANCES, ROWS, markdown, rows
from tests.integration.signed_deployment import OWNER, mute, put
from tests.integration.test_registry_attacks import Worker

ATTACKS = int(os.environ.get("SIGNALBOX_TEST_ATTACKS", "200"))
SEED = int(os.environ.get("SIGNALBOX_TEST_SEED", "17"))
PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    client = connect(state_url, ledger_shards=2)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def deployment(tmp_path: Path, state: State) -> AttackedDeployment:
    return AttackedDeployment(tmp_path, state)


def test_no_attack_runs_or_takes_an_op_id_or_ends_a_worker(
    deployment: AttackedDeployment, state_url: str
) -> None:
    with attacked(deployment, state_url) as entrances:
        attacker = entrances.attacker
        ran = reaching_adapters(deployment)
        entrances.attack(ATTACKS)  # an exception of a worker's ends the test
        deployment.wait_until_idle()
    honest = {command.op_id for command in entrances.honest}
    assert Counter({op_id: n for op_id, n in ran.items() if op_id not in honest}) == Counter()
    assert entrances.http.allowed == 0
    assert not deployment.evil.exists()
    # Of each op_id that was attacked an honest producer makes use.
    ours = [
        put(f"ours/{number}", b"ours", op_id=op_id) for number, op_id in enumerate(attacker.op_ids)
    ]
    submissions = deployment.client(deployment.keys[OWNER]).submit_many(ours)
    allowed = (Acceptance.NEW, Acceptance.HELD)
    taken = [s.receipt for s in submissions if s.receipt.acceptance not in allowed]
    assert taken == []
    ended = deployment.settled(*ours, *entrances.honest)
    found = Counter(outcome.status.value if outcome else "open" for outcome in ended)
    assert found == Counter(done=len(ours) + len(entrances.honest))
    sys.stdout.write(f"{attacker.tried.total()} attacks\n\n{markdown(attacker.tried)}\n")


def test_where_nothing_must_be_signed_they_run(
    deployment: AttackedDeployment, state_url: str
) -> None:
    """So these are attacks, and the test above sees what runs."""
    redirected: list[PutObject] = []

    def look(command: PutObject) -> None:
        with suppress(RegistryUnreadable):  # as a process without a trust file reads it
            believed = Registry(deployment.state).get(SCOPE)
            if believed is not None and believed.config.get("base_dir") == str(deployment.evil):
                redirected.append(command)

    with attacked(deployment, state_url) as entrances:
        entrances.look = look
        deployment.set(Signatures.OFF)
        ran = reaching_adapters(deployment)
        entrances.attack(len(entrances.kinds))
    honest = {command.op_id for command in entrances.honest}
    assert len(ran.keys() - honest) > 50
    assert len(redirected) > 2


def test_the_page_says_what_is_tried_where(deployment: AttackedDeployment, state_url: str) -> None:
    with attacked(deployment, state_url) as entrances:
        tried = dict.fromkeys(entrances.kinds, 1)
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    header = f"| attack | {' | '.join(ENTRANCES)} |"
    begin = lines.index(header) + 1
    found = {}
    for line in lines[begin : begin + len(ROWS)]:
        name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        found[name] = {
            entrance: cell != "–" for entrance, cell in zip(ENTRANCES, cells, strict=True)
        }
    assert found == {
        row: {entrance: count > 0 for entrance, count in counts.items()}
        for row, counts in rows(tried).items()
    }


@contextmanager
def attacked(deployment: AttackedDeployment, state_url: str) -> Iterator[Entrances]:
    """With a gateway that signs; whom it wakes is the test's to say."""

    def make(settings: Settings, own: GatewaySettings) -> Services:
        services = Services(settings, own)
        mute(services.client)
        return services

    settings = deployment.settings.model_copy(
        update={"state_url": state_url, "key_file": deployment.ring.files["gateway"]}
    )
    own = GatewaySettings(principals="required", hosts="testserver")
    app = gated(make_app(settings, own, make_desk=make), own)
    trust = deployment.trust
    started = SimpleNamespace(
        client=deployment.state, by=lambda signer, floor=0: Registry(deployment.state, trust)
    )

    def look(command: PutObject) -> None:
        """A worker that has just started believes what is honest, or nothing."""
        worker: Any = Worker(started)  # type: ignore[arg-type]
        with suppress(RegistryUnproven, RegistryRegressed):
            route = worker.resolve(SCOPE)
            assert route.config == entrances.changes.honest.config
            assert isinstance(worker.terms, Terms)
            assert worker.terms.quotas.objects == OBJECTS

    with TestClient(app, headers={"Prefer": "respond-async"}) as http:
        attacker = Attacker(deployment, SEED)
        attacker.collect()
        entrances = Entrances(attacker, http, look)
        entrances.changes.observe()
        yield entrances


def reaching_adapters(deployment: AttackedDeployment) -> Counter[str]:
    """Op_ids of what reaches an adapter from now on."""
    adapters: Any = deployment.runtime.executor.adapters
    run, ran = adapters.run, Counter[str]()

    def noted(items: Sequence[Admitted], *rest: Any) -> Any:
        ran.update(item.claimed.command.op_id for item in items)
        return run(items, *rest)

    adapters.run = noted
    return ran
