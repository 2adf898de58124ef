"""Attacks at every entrance: nothing of them runs, none takes an op_id, and no worker ends.

`SIGNALBOX_TEST_ATTACKS` says how many there are: some hundreds ordinarily, 10,000 for the table in
docs/security.md.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from signalbox.commands.ledger.entry import Acceptance
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.gateway.app import make_app
from signalbox.gateway.services import Services
from signalbox.gateway.settings import GatewaySettings
from signalbox.workers.execution.pipeline_types import Admitted
from tests.integration.proof_attacks import Attacker
from tests.integration.proof_lab import OWNER, ProofLab, mute, put

ATTACKS = int(os.environ.get("SIGNALBOX_TEST_ATTACKS", "400"))
SEED = int(os.environ.get("SIGNALBOX_TEST_SEED", "17"))


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    client = connect(state_url, ledger_shards=2)
    client.server().flushall()
    yield client
    client.close()


def test_no_attack_runs_or_takes_an_op_id_or_ends_a_worker(
    tmp_path: Path, state: State, state_url: str
) -> None:
    lab = ProofLab(tmp_path, state)
    with gateway(lab, state_url) as http:
        attacker = Attacker(lab, http, SEED)
        attacker.collect()
        stored = contents(tmp_path)
        ran = reaching_adapters(lab)
        attack(attacker, ATTACKS)  # an exception of a worker's ends the test
    assert ran == Counter()
    assert contents(tmp_path) == stored
    # Of each op_id that was attacked an honest producer makes use.
    ours = [
        put(f"ours/{number}", b"ours", op_id=op_id) for number, op_id in enumerate(attacker.op_ids)
    ]
    client = lab.client(lab.keys[OWNER])
    submissions = client.submit_many(ours)
    allowed = (Acceptance.NEW, Acceptance.HELD)
    taken = [s.receipt for s in submissions if s.receipt.acceptance not in allowed]
    assert taken == []
    for _ in range(3 + len(ours) // 100):
        lab.run_all()
    ended = Counter(
        outcome.status.value for outcome in lab.ledger.outcomes([c.ref for c in ours]) if outcome
    )
    assert ended == Counter(done=len(ours))
    tell(attacker.tried)


def test_where_nothing_must_be_signed_they_run(
    tmp_path: Path, state: State, state_url: str
) -> None:
    """So these are attacks, and the test above sees what runs."""
    lab = ProofLab(tmp_path, state)
    with gateway(lab, state_url) as http:
        attacker = Attacker(lab, http, SEED)
        attacker.collect()
        lab.set(Signatures.OFF)
        ran = reaching_adapters(lab)
        attack(attacker, len(attacker.kinds()))
    assert len(ran.keys() & set(attacker.op_ids)) > 50


def attack(attacker: Attacker, times: int) -> None:
    """Each kind once, and then some more at random."""
    kinds = attacker.kinds()
    for entrance, kind in kinds:
        attacker.attack(entrance, kind)
    for _ in range(times - len(kinds)):
        attacker.attack(*attacker.random.choice(kinds))


@contextmanager
def gateway(lab: ProofLab, state_url: str) -> Iterator[TestClient]:
    """One that signs nothing; whom it wakes is the test's to say."""

    def make(settings: Settings, own: GatewaySettings) -> Services:
        services = Services(settings, own)
        mute(services.client)
        return services

    settings = lab.settings.model_copy(update={"state_url": state_url})
    app = make_app(settings, make_desk=make)
    with TestClient(app, headers={"Prefer": "respond-async"}) as http:
        yield http


def tell(tried: Counter[str]) -> None:
    """For the table in docs/security.md: `pytest -s`."""
    lines = [f"{count:6} {name}" for name, count in sorted(tried.items())]
    sys.stdout.write("\n".join([f"{tried.total():6} in all", *lines, ""]))


def reaching_adapters(lab: ProofLab) -> Counter[str]:
    """Op_ids of what reaches an adapter from now on."""
    adapters: Any = lab.runtime.executor.adapters
    run, ran = adapters.run, Counter[str]()

    def noted(items: Sequence[Admitted], *rest: Any) -> Any:
        ran.update(item.claimed.command.op_id for item in items)
        return run(items, *rest)

    adapters.run = noted
    return ran


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "sqlite" not in path.name and "-wal" not in path.name
    }
