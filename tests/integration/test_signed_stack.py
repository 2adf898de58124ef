"""Signed commands with everything real: worker processes, the signed roster, messages of node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import administrator, trust_of
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import connect_to
from signalbox.producers.client.client import Client
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.absent import absent
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until
from tests.integration.signed_deployment import HERE, NEIGHBOUR, OWNER, principal, put

NODE = Path(__file__).with_name("signed_producer.mjs")
UNSIGNED = "t_free"
"""A tenant of whom nothing is asked where the trust file asks nothing."""


@dataclass
class SignedStack:
    """A stack with a trust file, an administrator, and producers with keys."""

    running: RunningStack
    keys: dict[str, Path]

    def client(self, who: str | None) -> Client:
        settings = self.running.settings.model_copy(
            update={"key_file": self.keys[who] if who else None}
        )
        return Client(settings)

    def registry(self) -> Registry:
        settings = self.running.settings.model_copy(update={"key_file": self.keys["admin"]})
        return Registry(connect_to(settings), trust_of(settings))

    def codes(self, who: str | None, *commands: PutObject) -> list[str]:
        """Submit them, and wait for what becomes of them."""
        with self.client(who) as client:
            outcomes = client.wait(client.submit_many(commands), TIMEOUT)
        return [
            "open" if each is None else each.error.code if each.error else "done"
            for each in outcomes
        ]


def change() -> Change:
    return Change(actor="test", reason="test", change_id=new_op_id())


def signed_stack(folder: Path, signatures: Signatures) -> Iterator[SignedStack]:
    keys, public = {}, {}
    for name in ("admin", OWNER, NEIGHBOUR):
        key = PrivateKey.new()
        keys[name], public[name] = folder / f"{name}.key", key
        key.save(keys[name])
    trusted = folder / "trust.json"
    trusted.write_text(
        json.dumps(
            {
                "keys": [administrator("alice", public["admin"].public)],
                "signatures": signatures.value,
            }
        )
    )
    its = {"SIGNALBOX_TRUST_FILE": str(trusted), "SIGNALBOX_AUDIENCE": HERE}
    with start_stack(folder / "stack", workers=2, **its) as running:  # type: ignore[arg-type]
        stack = SignedStack(running, keys)
        registry = stack.registry()
        for tenant in (OWNER, NEIGHBOUR):
            registry.principals.add(principal(tenant, public[tenant]), change())
        for tenant in (OWNER, NEIGHBOUR, UNSIGNED):
            registry.set(
                Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="prod"),
                RouteTarget("filesystem", {"base_dir": str(folder / tenant)}, Mode.LAB),
                change(),
            )
        yield stack


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedStack]:
    yield from signed_stack(tmp_path_factory.mktemp("required"), Signatures.REQUIRED)


@pytest.fixture
def by_policy(tmp_path: Path) -> Iterator[SignedStack]:
    yield from signed_stack(tmp_path, Signatures.OFF)


def test_a_granted_producer_is_believed_and_nobody_else(required: SignedStack) -> None:
    ours = [put(f"a{n}") for n in range(100)]
    assert required.codes(OWNER, *ours) == ["done"] * 100
    assert required.codes(OWNER, put("large", b"y" * 70_000)) == ["done"]
    assert required.codes(NEIGHBOUR, put("a0"), put("a0", tenant=NEIGHBOUR)) == [
        "NOT_GRANTED",
        "done",
    ]
    assert required.codes(None, put("a0")) == ["SIGNATURE_MISSING"]


def test_a_producer_in_javascript_is_one_of_them(required: SignedStack) -> None:
    if shutil.which("node") is None:
        absent("a producer in JavaScript", "install node 20 or newer")
    settings = required.running.settings
    where, _, port = settings.broker_url.partition("://")[2].partition("/")[0].rpartition(":")
    for who, command, code in (
        (OWNER, put("from-node"), None),
        (NEIGHBOUR, put("from-neighbour"), "NOT_GRANTED"),
    ):
        subprocess.run(
            ["node", str(NODE), str(required.keys[who]), HERE, where, port,
             str(settings.tenant_shards or 4)],
            input=command.model_dump_json(), text=True, check=True, timeout=120,
        )  # fmt: skip
        with required.client(None) as client:
            wait_until(
                lambda ref=command.ref, its=client: its.ledger.outcomes([ref])[0] is not None,  # type: ignore[misc]
                "its outcome",
            )
            [outcome] = client.ledger.outcomes([command.ref])
        assert outcome is not None
        assert (outcome.error.code if outcome.error else None) == code


def test_a_revoked_producer_is_not_believed_from_the_next_claim_on(required: SignedStack) -> None:
    key = PrivateKey.new()
    required.keys["leaver"] = required.keys["admin"].with_name("leaver.key")
    key.save(required.keys["leaver"])
    who = principal(OWNER, key).model_copy(update={"name": "leaver"})
    registry = required.registry()
    registry.principals.add(who, change())
    assert required.codes("leaver", put("leaver")) == ["done"]
    registry.principals.revoke("leaver", change())
    assert required.codes("leaver", put("leaver")) == ["SIGNATURE_INVALID"]


def test_a_policy_asks_for_signatures_of_its_tenant_alone(by_policy: SignedStack) -> None:
    free = put("free", tenant=UNSIGNED)
    assert by_policy.codes(None, put("a"), free) == ["done", "done"]
    by_policy.registry().policies.set(OWNER, Terms(signatures=Signatures.REQUIRED), change())
    refused, again = put("b", op_id="one"), put("b", b"signed", op_id="one")
    assert by_policy.codes(None, refused, put("free", tenant=UNSIGNED)) == [
        "SIGNATURE_MISSING",
        "done",
    ]
    assert by_policy.codes(OWNER, again) == ["done"]
