"""The attacks on workers that run: a command waits where something is forged, and is not lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.proof.trust import administrator
from signalbox.commands.state import State, connect
from tests.integration import test_registry_attacks as attacks
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until
from tests.integration.signed_registry import ACME, ADMIN, AUDIENCE, FENCES, SignedRegistry


@pytest.fixture(scope="module")
def signed_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("stack")
    trust = folder / "trust.json"
    trust.write_text(json.dumps({"keys": [administrator("alice", ADMIN.public)]}))
    with start_stack(
        folder, workers=1, SIGNALBOX_TRUST_FILE=str(trust), SIGNALBOX_AUDIENCE=AUDIENCE
    ) as running:
        SignedRegistry(connect(running.settings.state_url), folder).begin()
        yield running


def new_fence(state: State) -> None:
    """So that a worker which knows the route looks at it again."""
    revision = state.call("HGET", FENCES, ACME.field).partition(b"-")[0].decode()
    state.call("HSET", FENCES, ACME.field, f"{revision}-{'f' * 16}")


AT_WORK = [
    "redirect",
    "remove the signature",
    "sign with a key of nobody",
    "sign as operator of another tenant",
    "swap between tenants",
    "no record",
    "add a principal",
    "a fence that is none",
]


@pytest.mark.parametrize("name", AT_WORK)
def test_a_command_waits_and_runs_once_it_is_mended(
    signed_stack: RunningStack, tmp_path: Path, name: str
) -> None:
    state = connect(signed_stack.settings.state_url)
    signed = SignedRegistry(state, signed_stack.data)
    honest = attacks.snapshot(state)
    attacks.ATTACKS[name](signed)
    if name in ("redirect", "remove the signature", "no record"):
        new_fence(state)
    if name == "add a principal":
        signed.fence("principals", 99)
        state.call("HSET", FENCES, "@epoch", state.call("HGET", FENCES, "@epoch") + b"0")
    with signed_stack.client() as client:
        put = PutObject(
            op_id=new_op_id(),
            tenant_id="t_acme",
            env="prod",
            key=f"of {name}",
            payload=InlinePayload(data=name.encode()),
        )
        pending = client.submit(put)

        def waits_for() -> str | None:
            [record] = client.ledger.records([put.ref])
            return record.waits_for.code if record and record.waits_for else None

        wait_until(lambda: waits_for() is not None, f"{name}: the command waits")
        assert waits_for() in ("REGISTRY_UNPROVEN", "REGISTRY_REGRESSED")
        assert not Path(attacks.EVIL).exists()
        attacks.restore(state, honest)
        outcome = client.outcome(pending, TIMEOUT)
        assert outcome.error is None
        assert outcome.backend_type == "filesystem"
