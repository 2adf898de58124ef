"""Who can write everything into the ledger, knows the whole source and has a neighbour's key: what
he can do where commands must be signed, and what is refused.

Each function `can_…` stands in docs/security.md under its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import OutcomePending
from signalbox.commands.ledger.entry import Acceptance
from signalbox.commands.ledger.proven import disclose, proofs_of
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    HeadObject,
    PresignPut,
    PutObject,
)
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import StagedPayload
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.state import State, connect
from signalbox.routing.policy.policy import Quotas, Terms
from signalbox.routing.registry.change import Change
from tests.integration.attacks.ledger_writes import (
    proof_by,
    sealed_by,
    write_parcel,
    write_record,
)
from tests.integration.signed_deployment import NEIGHBOUR, OWNER, SignedDeployment, put

MINUTES = 6
"""Within so many of its signature something can be put there under a number of the attacker's."""


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    client = connect(state_url, ledger_shards=2)
    client.server().flushall()
    yield client
    client.close()


def shard_of(deployment: SignedDeployment, command: PutObject) -> str:
    return deployment.ledger.shards.of(command.ref)


def record_of(deployment: SignedDeployment, command: PutObject) -> str:
    return f"{shard_of(deployment, command)}:op:{command.ref}"


def another_worker(deployment: SignedDeployment) -> None:
    """The lab's worker has forgotten what it has run, as one that has not seen it."""
    deployment.set(Signatures.REQUIRED)


def forget(deployment: SignedDeployment, *commands: PutObject) -> None:
    """Remove all that the ledger knows of them."""
    for command in commands:
        shard, tenant_env = shard_of(deployment, command), f"{command.tenant_id}/{command.env}"
        deployment.state.call("DEL", record_of(deployment, command))
        deployment.state.call("ZREM", f"{shard}:dead", command.ref)
        deployment.state.call("HDEL", f"{shard}:ids:{tenant_env}", command.op_id)


def run_signed(deployment: SignedDeployment, command: PutObject) -> str:
    """Have a worker run it as a record; return its proof."""
    proof = proof_by(deployment.keys[OWNER], command)
    write_record(deployment, command, proof)
    deployment.run_all()
    assert deployment.code(command) == "done"
    return proof


def run_honestly(deployment: SignedDeployment, command: Any) -> None:
    client = deployment.client(deployment.keys[OWNER])
    client.submit(command)
    deployment.run_all()
    assert deployment.code(command) == "done"


def size_of(deployment: SignedDeployment, key: str) -> int | None:
    """Of the object that the owner has there, in bytes."""
    look = HeadObject(tenant_id=OWNER, env="prod", key=key)
    deployment.client(deployment.keys[OWNER]).submit(look)
    deployment.run_all()
    outcome = deployment.outcome(look)
    assert outcome is not None
    return outcome.result["size"] if outcome.result else None


# What he can do.


def can_delete_delay_or_withhold_commands(deployment: SignedDeployment) -> None:
    """Whoever waits for it gets no outcome, and submits it again under its op_id."""
    command = put("a", b"y" * 70_000)
    client = deployment.client(deployment.keys[OWNER])
    pending = client.submit(command)
    forget(deployment, command)
    deployment.run_all()
    assert deployment.stored() == 0
    with pytest.raises(OutcomePending):
        client.outcome(pending, timedelta(0))
    assert client.submit(command).receipt.acceptance is Acceptance.NEW


def can_end_a_command_as_a_dead_letter(deployment: SignedDeployment) -> None:
    """As if its attempts were used up; the command is kept, and can be replayed."""
    command = put("a", b"y" * 70_000)
    client = deployment.client(deployment.keys[OWNER])
    client.submit(command)
    deployment.state.call("HSET", record_of(deployment, command), "att", 99)
    deployment.run_all()
    assert deployment.code(command) == "ATTEMPTS_EXHAUSTED"
    client.replay([command.ref])
    deployment.run_all()
    assert deployment.code(command) == "done"


def can_have_an_op_id_look_as_if_it_were_in_use(deployment: SignedDeployment) -> None:
    """Until a worker comes for what he wrote there."""
    command = put("a", b"honest", op_id="one")
    write_record(deployment, put("a", b"forged", op_id="one"), "")
    client = deployment.client(deployment.keys[OWNER])
    assert client.submit_many([command])[0].receipt.acceptance is Acceptance.CONFLICT
    deployment.run_all()
    assert deployment.stored() == 0
    assert client.submit(command).receipt.acceptance is Acceptance.NEW


def can_tell_any_client_any_outcome(deployment: SignedDeployment) -> None:
    """Also that something was stored, or an address of his own to upload to."""
    asked = PresignPut(tenant_id=OWNER, env="prod", key="a")
    client = deployment.client(deployment.keys[OWNER])
    pending = client.submit(asked)
    theirs = put("b")
    run_honestly(deployment, theirs)
    found = deployment.outcome(theirs)
    assert found is not None
    result = {"url": "http://127.0.0.1:1/evil", "method": "PUT", "headers": {}}
    forged = Outcome.model_validate(
        found.model_dump() | {"op_id": asked.op_id, "op": asked.op, "result": result}
    )
    shard = deployment.ledger.shards.of(asked.ref)
    deployment.state.call("DEL", f"{shard}:ids:{OWNER}/prod")
    fields = ("st", "done", "fp", asked.fingerprint(), "seq", 1, "out", forged.model_dump_json())
    deployment.state.call("HSET", f"{shard}:op:{asked.ref}", *fields)
    [told] = client.wait([pending], timedelta(seconds=60))
    assert told is not None
    assert told.error is None
    assert told.result is not None
    assert told.result["url"] == result["url"]


def can_read_the_contents_of_open_commands(deployment: SignedDeployment) -> None:
    """Large contents, which are staged, by a command of his own tenant that names them."""
    deployment.client(deployment.keys[OWNER]).submit(put("a", b"secret" * 12_000))
    [record] = [key for key in deployment.state.scan("*:op:*") if OWNER.encode() in key]
    assert b"c2VjcmV0" in deployment.state.call("HGET", record.decode(), "cmd")
    owner = deployment.client(deployment.keys[OWNER])
    source = deployment.folder / "large.bin"
    source.write_bytes(b"secret" * 100_000)
    staged = owner.content.payload(source)
    assert isinstance(staged, StagedPayload)
    theirs = PutObject(tenant_id=NEIGHBOUR, env="prod", key="stolen", payload=staged)
    deployment.client(deployment.keys[NEIGHBOUR]).submit(theirs)
    deployment.run_all()
    assert deployment.content(theirs) == source.read_bytes()


def can_have_a_signed_command_run_once_more_within_six_minutes(
    deployment: SignedDeployment,
) -> None:
    """By each worker process that has not run it, under a number that he chooses."""
    old, new = put("a", b"old"), put("a", b"new")
    proof = run_signed(deployment, old)
    run_honestly(deployment, new)
    another_worker(deployment)
    forget(deployment, old)
    write_record(deployment, old, proof)
    deployment.run_all()
    assert deployment.code(old) == "done"
    assert size_of(deployment, "a") == len("old")


def can_change_the_order_of_commands_signed_within_six_minutes(
    deployment: SignedDeployment,
) -> None:
    """He lets the one wait, and gives it a number behind the other's."""
    first, second = put("a", b"early"), put("a", b"second")
    proof = proof_by(deployment.keys[OWNER], first)  # withheld
    run_honestly(deployment, second)
    write_record(deployment, first, proof)
    deployment.run_all()
    assert size_of(deployment, "a") == len("early")


def can_lift_quotas_and_rates(deployment: SignedDeployment) -> None:
    """What a tenant has stored is counted there; the policy itself is signed."""
    policies = deployment.runtime.registry.policies
    change = Change(actor="test", reason="test", change_id=new_op_id())
    policies.set(OWNER, Terms(quotas=Quotas(objects=1)), change)
    run_honestly(deployment, put("a"))
    over = put("b")
    deployment.client(deployment.keys[OWNER]).submit(over)
    deployment.run_all()
    assert deployment.code(over) == "QUOTA_EXCEEDED"
    deployment.state.call(
        "HSET", f"{shard_of(deployment, over)}:use:object_store/{OWNER}/prod", "objects", -99
    )
    run_honestly(deployment, put("c"))


def can_stop_everything(deployment: SignedDeployment) -> None:
    """As if the ledger had lost something: commands wait, and `signalbox status` says why."""
    command = put("a")
    deployment.client(deployment.keys[OWNER]).submit(command)
    deployment.state.call(
        "HSET", f"{shard_of(deployment, command)}:era", "lost", "forged", "at", 1, "ahead", 1
    )
    deployment.run_all()
    assert deployment.stored() == 0
    assert deployment.code(command) == "open"


CAN: dict[str, Callable[[SignedDeployment], None]] = {
    name.removeprefix("can_").replace("_", " "): run
    for name, run in globals().items()
    if name.startswith("can_")
}


@pytest.mark.parametrize("name", CAN)
def test_what_he_can_do(deployment: SignedDeployment, name: str) -> None:
    CAN[name](deployment)


def test_the_page_lists_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    _, _, after = page.partition("**What someone who can write to the ledger still can do:**")
    listed = after.split("\n\n")[1]
    said = [line[2:].partition(":")[0] for line in listed.splitlines() if line.startswith("- ")]
    assert said == list(CAN)


# What he cannot.

AGAIN: dict[str, Callable[[int], dict[str, Any]]] = {
    "under a new number": lambda first: {},
    "with the mark of its first acceptance": lambda first: {"mark": first},
    "as a takeover": lambda first: {"mark": first, "att": 1},
}


@pytest.mark.parametrize("how", AGAIN)
def test_a_worker_runs_nothing_again_that_it_has_run(
    deployment: SignedDeployment, how: str
) -> None:
    old, new = put("a", b"old"), put("a", b"new")
    proof = run_signed(deployment, old)
    first = int(deployment.state.call("HGET", record_of(deployment, old), "seq"))
    run_honestly(deployment, new)
    forget(deployment, old)
    write_record(deployment, old, proof, AGAIN[how](first))
    deployment.run_all()
    assert deployment.code(old) == "SIGNATURE_INVALID"
    assert size_of(deployment, "a") == len("new")


@pytest.mark.parametrize("parcel_first", [True, False])
def test_nor_in_another_form(deployment: SignedDeployment, parcel_first: bool) -> None:
    """What has run in a parcel comes as a record, or the reverse."""
    commands = [put("a", b"old"), put("b", b"old")]
    content = sealed_by(deployment.keys[OWNER], commands)
    signed = proofs_of(*disclose(content))(0)
    assert signed is not None

    def alone() -> None:
        assert signed is not None
        text = f"{signed.text.decode()}\n{signed.proof}"
        write_record(deployment, commands[0], signed.proof, {"cmd": text})

    forms = [lambda: write_parcel(deployment, commands, content), alone]
    for form in forms if parcel_first else reversed(forms):
        form()
        deployment.run_all()
        code = deployment.code(commands[0])
        forget(deployment, *commands)
    assert code == "SIGNATURE_INVALID"


def test_under_its_own_number_it_runs_again_and_undoes_nothing_newer(
    deployment: SignedDeployment,
) -> None:
    """That is what a ledger restored from a backup asks for, and so it is judged as stale."""
    old = put("a", b"old")
    proof = run_signed(deployment, old)
    first = int(deployment.state.call("HGET", record_of(deployment, old), "seq"))
    run_honestly(deployment, DeleteObject(tenant_id=OWNER, env="prod", key="a"))
    forget(deployment, old)
    stale = staleness(deployment)
    write_record(deployment, old, proof, {"seq": first})
    deployment.run_all()
    assert stale == [True]
    assert size_of(deployment, "a") is None


@pytest.mark.parametrize("in_parcel", [True, False])
def test_what_comes_later_than_six_minutes_undoes_nothing_newer(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch, in_parcel: bool
) -> None:
    """Its number is one of these minutes, by which backends know what is newer; and its first
    attempt is judged as stale, so that also those look that otherwise would not."""
    command = put("a", b"old", condition=Condition(if_absent=True))
    content = sealed_by(deployment.keys[OWNER], [command])
    proof = proof_by(deployment.keys[OWNER], command)
    stale = staleness(deployment)
    if in_parcel:
        write_parcel(deployment, [command], content)
    else:
        write_record(deployment, command, proof)
    later = time.time() + (MINUTES + 1) * 60
    monkeypatch.setattr("signalbox.workers.execution.proof_judge.time.time", lambda: later)
    deployment.run_all()
    assert deployment.code(command) == "done"
    assert stale == [True]
    monkeypatch.undo()
    run_honestly(deployment, put("b"))
    assert stale == [True, False]


def staleness(deployment: SignedDeployment) -> list[bool]:
    """Of each command that reaches an adapter from now on."""
    adapters: Any = deployment.runtime.executor.adapters
    run = adapters.run
    found: list[bool] = []

    def noted(items: Any, *rest: Any) -> Any:
        found.extend(item.claimed.stale for item in items)
        return run(items, *rest)

    adapters.run = noted
    return found
