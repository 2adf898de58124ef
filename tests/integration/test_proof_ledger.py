"""Proofs in the ledger: what was signed runs, in each form it may have; nothing else does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox.commands.error import (
    PermissionDenied,
    RegistryUnproven,
    SignatureInvalid,
    SignatureMissing,
    Unavailable,
)
from signalbox.commands.ledger import parcel as parcel_module
from signalbox.commands.ledger import signing
from signalbox.commands.ledger.dead import Which
from signalbox.commands.ledger.entry import Acceptance, Action, Finish, Intent, Ticket
from signalbox.commands.model import Command, new_op_id
from signalbox.commands.object_store import GetObject
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.routing import DeleteRoute
from signalbox.commands.state import State
from signalbox.commands.wire import Ring
from signalbox.routing.policy.policy import Terms
from signalbox.routing.registry.change import Change
from signalbox.workers.execution.authors import PrincipalOf
from signalbox.workers.execution.parcel_drain import ParcelDrain
from tests.integration.operating import by
from tests.integration.signed_deployment import (
    NEIGHBOUR,
    OWNER,
    SignedDeployment,
    principal,
    put,
    token,
)


def test_what_was_signed_runs_in_each_form(deployment: SignedDeployment) -> None:
    client = deployment.client(deployment.keys[OWNER])
    ordinary = [put(f"a{n}") for n in range(100)]
    large = put("large", b"y" * 70_000)
    client.submit_many([*ordinary, large])
    deployment.run_all()
    behind = [put("a1", b"second"), GetObject(tenant_id=OWNER, env="prod", key="large")]
    client.submit_many(behind)
    deployment.run_all()
    assert [deployment.code(c) for c in [*ordinary, large, *behind]] == ["done"] * 103


def test_an_unsigned_command_is_refused_and_takes_no_op_id(deployment: SignedDeployment) -> None:
    command = put("a", b"forged", op_id="one")
    other = put("b", b"y" * 70_000, op_id="two")
    deployment.client(None).submit_many([command, other])
    deployment.run_all()
    assert deployment.code(command) == deployment.code(other) == "SIGNATURE_MISSING"
    assert deployment.stored() == 0
    honest = [put("a", b"honest", op_id="one"), put("b", b"honest", op_id="two")]
    submissions = deployment.client(deployment.keys[OWNER]).submit_many(honest)
    assert [s.receipt.acceptance for s in submissions] == [Acceptance.NEW] * 2
    deployment.run_all()
    assert [deployment.code(c) for c in honest] == ["done"] * 2


def test_a_neighbours_signature_counts_for_its_own_tenant_alone(
    deployment: SignedDeployment,
) -> None:
    client = deployment.client(deployment.keys[NEIGHBOUR])
    theirs, mine = put("a", tenant=NEIGHBOUR), put("a")
    client.submit_many([theirs, mine])
    deployment.run_all()
    assert deployment.code(theirs) == "done"
    assert deployment.code(mine) == "NOT_GRANTED"
    assert deployment.content(mine) is None


def test_a_revocation_counts_from_the_next_claim_on(deployment: SignedDeployment) -> None:
    command = put("a")
    deployment.client(deployment.keys[OWNER]).submit(command)
    kid = deployment.keys[OWNER].kid
    deployment.principals[kid] = principal(OWNER, deployment.keys[OWNER], revoked=datetime.now(UTC))
    deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"
    assert deployment.stored() == 0


def test_a_signature_must_hold_at_the_claim(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = put("a")
    deployment.client(deployment.keys[OWNER]).submit(command)
    later = time.time() + deployment.settings.outcome_retention.total_seconds()
    monkeypatch.setattr("signalbox.workers.execution.proof_judge.time.time", lambda: later)
    deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"
    outcome = deployment.outcome(command)
    assert outcome is not None
    assert outcome.error is not None
    assert "expired" in outcome.error.message


def one_record(deployment: SignedDeployment, *commands: Command) -> None:
    """Submitted, signed, as records."""
    signer = signing.Signer.of(deployment.client(deployment.keys[OWNER]).settings)
    assert signer is not None
    intents = [Intent(command, "object_store.0") for command in commands]
    deployment.ledger.submit(intents, signer.sign([], intents))


def test_a_record_is_proven_under_its_own_name_alone(
    deployment: SignedDeployment, state: State
) -> None:
    command = put("a", op_id="one")
    one_record(deployment, command)
    shard = deployment.ledger.shards.of(command.ref)
    record = state.call("HGETALL", f"{shard}:op:{command.ref}")
    copy = f"{OWNER}/prod/copy"
    flat = [part for name, value in record.items() for part in (name, value)]
    state.call("HSET", f"{shard}:op:{copy}", *flat, "ord", "")
    state.call("ZADD", f"{shard}:due", 0, copy)
    deployment.run_all()
    assert deployment.code(command) == "done"
    [outcome] = deployment.ledger.outcomes([copy])
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code == "SIGNATURE_INVALID"
    assert state.call("HGET", f"{shard}:op:{copy}", "fp") == b""


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_number_of_another_time_is_refused(
    deployment: SignedDeployment, state: State, hours: int
) -> None:
    """What was done is put there again, under the number that whoever did so likes."""
    command = put("a", op_id="one")
    one_record(deployment, command)
    shard = deployment.ledger.shards.of(command.ref)
    record = f"{shard}:op:{command.ref}"
    number = int(state.call("HGET", record, "seq"))
    state.call("HSET", record, "seq", number + hours * 3600 * 10**6)
    deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"
    assert deployment.stored() == 0


def test_a_parcel_counts_in_its_own_scope_alone(deployment: SignedDeployment, state: State) -> None:
    """Under another scope the fence would be that of a route which the command does not use."""
    command = put("a", tenant=NEIGHBOUR)
    deployment.client(deployment.keys[NEIGHBOUR]).submit(command)
    [key] = state.scan("*:par")
    shard = key.decode().removesuffix(":par")
    [(name, text)] = state.call("HGETALL", f"{shard}:par").items()
    state.call("HSET", f"{shard}:par", name, text.replace(NEIGHBOUR.encode(), OWNER.encode()))
    deployment.run_all()
    assert deployment.code(command) != "done"
    assert deployment.stored() == 0


def test_what_leaves_a_parcel_is_proven_alone(deployment: SignedDeployment) -> None:
    commands = [put(f"a{n}") for n in range(7)]
    deployment.client(deployment.keys[OWNER]).submit_many(commands)
    shards = deployment.ledger.shards.tags
    claims = deployment.runtime.parcels.take(
        shards, "object_store.0", token="t", worker="w", rung=True
    ).claims
    assert len(claims.claimed) == 7
    deployment.runtime.parcels.end("t", claims.parcels, [])
    again = deployment.ledger.claim([Ticket(c.ref, c.op) for c in commands], token="t", worker="w")
    assert all(item.signed is not None for item in again.claimed)
    allowed, refused = deployment.proofs.check(again)
    assert len(allowed.claimed) == 7
    assert refused == []


def test_a_parcel_of_another_release_is_proven_and_so_is_what_leaves_it(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [put(f"a{n}", b"z" * n, deadline="2100-01-01T00:00:00Z") for n in range(3)]
    deployment.client(deployment.keys[OWNER]).submit_many(commands)
    shapes, tag = parcel_module._schema()
    monkeypatch.setattr(parcel_module, "_schema", lambda: (shapes, tag + "x"))
    claims = deployment.runtime.parcels.take(
        deployment.ledger.shards.tags, "object_store.0", token="t", worker="w", rung=True
    ).claims
    assert len(deployment.proofs.check(claims)[0].claimed) == 3
    deployment.runtime.parcels.end("t", claims.parcels, [])
    again = deployment.ledger.claim([Ticket(c.ref, c.op) for c in commands], token="t", worker="w")
    assert len(deployment.proofs.check(again)[0].claimed) == 3


def test_a_retried_command_is_proven_again(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [put(f"a{n}") for n in range(3)]
    deployment.client(deployment.keys[OWNER]).submit_many(commands)
    adapters = deployment.runtime.executor.adapters
    run = adapters.run
    fails = iter([True])

    def once(*arguments: object) -> object:
        ended = run(*arguments)  # type: ignore[arg-type]
        if next(fails, False):
            error = Unavailable("not now", next_step="wait")
            return [replace(end, result=None, error=error) for end in ended]
        return ended

    monkeypatch.setattr(adapters, "run", once)
    deployment.runtime.drains.run(Ring(tuple(deployment.ledger.shards.tags), "object_store.0"))
    assert {deployment.code(c) for c in commands} == {"open"}
    deadline = time.monotonic() + 60
    while {deployment.code(c) for c in commands} != {"done"}:
        assert time.monotonic() < deadline
        deployment.run_all()


def test_a_sealed_command_that_nobody_could_make_is_refused(deployment: SignedDeployment) -> None:
    """An author may sign what our client would not have sealed: its content was never checked."""
    good = put("a", op_id="one")
    bad = good.model_copy(update={"key": "../../t_acme/prod/a"})
    deployment.client(deployment.keys[OWNER]).submit_many([bad])
    deployment.run_all()
    assert deployment.code(bad) == "INVALID_KEY"
    assert deployment.stored() == 0
    assert (
        deployment.client(deployment.keys[OWNER]).submit(good).receipt.acceptance is Acceptance.NEW
    )


def test_what_is_unreadable_or_used_up_takes_no_op_id_unless_it_is_proven(
    deployment: SignedDeployment, state: State
) -> None:
    command = put("a", op_id="one")
    shard = deployment.ledger.shards.of(command.ref)
    record = f"{shard}:op:{command.ref}"
    for fields in ({"cmd": "{}"}, {"cmd": command.model_dump_json(), "att": 99}):
        deployment.ledger.submit([Intent(command, "object_store.0")])
        state.call("HSET", record, *[part for pair in fields.items() for part in pair])
        deployment.run_all()
        assert deployment.code(command) == "SIGNATURE_MISSING"
        assert state.call("HGET", record, "fp") == b""
    assert (
        deployment.client(deployment.keys[OWNER]).submit(command).receipt.acceptance
        is Acceptance.NEW
    )


def test_what_expired_behind_an_attempt_keeps_its_op_id(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = put("a", op_id="one")
    one_record(deployment, command)
    deployment.ledger.claim([Ticket(command.ref, command.op)], token="t", worker="w")
    deployment.ledger.finish("t", [Finish(command.ref, "t", Action.RETRY)])
    later = time.time() + deployment.settings.outcome_retention.total_seconds()
    monkeypatch.setattr("signalbox.workers.execution.proof_judge.time.time", lambda: later)
    deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"
    receipts = deployment.client(deployment.keys[OWNER]).submit_many([command])
    assert receipts[0].receipt.acceptance is Acceptance.KNOWN


def test_a_dead_letter_of_a_refused_command_shows_the_command(deployment: SignedDeployment) -> None:
    client = deployment.client(deployment.keys[NEIGHBOUR])
    command = put("a", op_id="one")
    client.submit(command)
    deployment.run_all()
    [letter] = client.dead.find(Which())
    assert letter.document == command.model_dump_json()
    assert not letter.is_command
    assert client.dead.replay([letter.ref]).left == {letter.ref: "no command"}


def test_what_is_observed_runs_and_is_told(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Command, Exception]] = []
    monkeypatch.setattr("signalbox.workers.execution.proof_check.log_unproven", told.extend)
    deployment.set(Signatures.OBSERVE)
    command, carried = put("a"), put("b")
    deployment.client(None).submit(command)
    deployment.run_all()
    deployment.carry(token(deployment.keys[NEIGHBOUR], carried))
    assert deployment.code(command) == deployment.code(carried) == "done"
    assert [(c, type(e).__name__) for c, e in told] == [
        (command, "SignatureMissing"),
        (carried, "NotGranted"),
        (carried, "NotGranted"),
    ]
    totals = deployment.ledger.totals()
    names = ("unproven", "unproven_signature_missing", "unproven_not_granted")
    assert [totals[name] for name in names] == [2, 1, 1]


def test_without_a_key_nothing_is_a_byte_longer(deployment: SignedDeployment, state: State) -> None:
    ordinary, large = put("a"), put("b", b"y" * 70_000)
    deployment.client(None).submit_many([ordinary, large])
    shard = deployment.ledger.shards.of(large.ref)
    assert state.call("HGET", f"{shard}:op:{large.ref}", "cmd") == large.model_dump_json().encode()
    [content] = state.scan("*:c:*")
    assert state.call("GET", content.decode()) == parcel_module.seal([ordinary])


def test_a_signed_message_runs_and_a_forged_one_is_not_recorded(
    deployment: SignedDeployment,
) -> None:
    command = put("a", op_id="one")
    forged = put("a", b"forged", op_id="one")
    deployment.carry(json_of(forged))
    [letter] = deployment.client(None).dead.find(Which())
    assert (letter.ref, letter.code) == (command.ref, "SIGNATURE_MISSING")
    deployment.carry(token(deployment.keys[NEIGHBOUR], forged))
    deployment.carry(token(PrivateKey.new(), forged))
    assert deployment.stored() == 0
    deployment.carry(token(deployment.keys[OWNER], command))
    assert deployment.code(command) == "done"
    assert deployment.content(command) is not None
    assert not list(deployment.client(None).dead.find(Which()))


def test_a_signed_message_is_verified_again_at_the_claim(
    deployment: SignedDeployment, state: State
) -> None:
    command = put("a", op_id="one")
    deployment.ledger.submit(
        [
            Intent(
                command,
                "object_store.0",
                proof=token(deployment.keys[OWNER], put("b", op_id="one")),
            )
        ]
    )
    deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"


def test_a_message_with_nothing_but_faults_says_nothing_of_the_registry(
    deployment: SignedDeployment,
) -> None:
    """It was taken for a registry that had gone: the worker then put back whatever followed."""
    deployment.set(Signatures.OFF)
    before, behind = put("a"), put("b")
    deployment.carry(json_of(before))
    deployment.carry({"op": "no such op"})
    deployment.carry(json_of(behind))
    assert [deployment.code(command) for command in (before, behind)] == ["done"] * 2


def json_of(command: Command) -> object:
    return command.model_dump(mode="json")


def test_errors_name_what_was_refused(deployment: SignedDeployment) -> None:
    command = put("a")
    deployment.client(None).submit(command)
    deployment.run_all()
    outcome = deployment.outcome(command)
    assert outcome is not None
    error = outcome.error
    assert error is not None
    assert (error.tenant_id, error.env, error.kind) == (OWNER, "prod", "object_store")
    assert "op_id" in (error.next_step or "")
    assert SignatureMissing.http_status == SignatureInvalid.http_status == 401


def test_what_was_put_there_again_does_not_run_again(
    deployment: SignedDeployment, state: State
) -> None:
    """Whoever writes the ledger removes what it knew, and brings the proof back later."""
    command, large = put("a"), put("b", b"y" * 70_000)
    deployment.client(deployment.keys[OWNER]).submit_many([command, large])
    kept = {key: state.call("GET", key.decode()) for key in state.scan("*:c:*")}
    [(shard, parcels)] = [
        (key.decode().removesuffix(":par"), state.call("HGETALL", key.decode()))
        for key in state.scan("*:par")
    ]
    record = f"{deployment.ledger.shards.of(large.ref)}:op:{large.ref}"
    written = state.call("HGETALL", record)
    deployment.run_all()
    assert deployment.code(command) == deployment.code(large) == "done"
    ran: list[int] = []
    adapters: Any = deployment.runtime.executor.adapters
    run = adapters.run

    def noted(items: Sequence[object], *rest: object) -> object:
        ran.append(len(items))
        return run(items, *rest)

    adapters.run = noted
    [(key, content)], [(name, text)] = kept.items(), parcels.items()
    again = str(int(name) + 5_000_000)
    state.call("SET", key.decode().replace(name.decode(), again), content)
    state.call("HSET", f"{shard}:par", again, text)
    state.call("RPUSH", f"{shard}:rdy:object_store.0", again)
    state.call("DEL", record)
    flat = [part for field, value in written.items() for part in (field, value)]
    state.call("HSET", record, *flat, "seq", int(written[b"seq"]) + 5_000_000, "ord", "")
    state.call("ZADD", f"{deployment.ledger.shards.of(large.ref)}:due", 0, large.ref)
    deployment.run_all()
    assert sum(ran) == 0
    assert deployment.code(large) == "SIGNATURE_INVALID"


def test_a_signed_message_that_was_purged_does_not_run_again(deployment: SignedDeployment) -> None:
    command = put("a", op_id="one")
    deployment.runtime.registry.delete(
        command.scope, Change(actor="test", reason="test", change_id=new_op_id())
    )
    message = token(deployment.keys[OWNER], command)
    deployment.carry(message)
    client = deployment.client(deployment.keys[OWNER])
    assert client.dead.purge([command.ref]) == [command.ref]
    deployment.carry(message)
    assert deployment.code(command) == "open"
    [record] = deployment.ledger.records([command.ref])
    assert record is None
    deployment.carry(token(deployment.keys[OWNER], command, exp=int(time.time()) + 200))
    assert deployment.code(command) == "ROUTE_NOT_FOUND"


def test_whoever_replays_a_dead_letter_signs_it_anew(
    deployment: SignedDeployment, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [put("a"), put("b", b"y" * 70_000)]
    client = deployment.client(deployment.keys[OWNER])
    client.submit_many(commands)
    adapters: Any = deployment.runtime.executor.adapters
    run = adapters.run
    broken = PermissionDenied("not for us", next_step="grant it")

    def fails(*arguments: object) -> object:
        ended = run(*arguments)
        return [replace(end, result=None, error=copy(broken)) for end in ended]

    with monkeypatch.context() as patch:
        patch.setattr(adapters, "run", fails)
        deployment.run_all()
    refs = [command.ref for command in commands]
    assert [deployment.code(command) for command in commands] == ["PERMISSION_DENIED"] * 2
    records = [f"{deployment.ledger.shards.of(ref)}:op:{ref}" for ref in refs]
    before = [state.call("HGET", record, "cmd").split(b"\n") for record in records]
    assert client.replay(refs).left == {}
    after = [state.call("HGET", record, "cmd").split(b"\n") for record in records]
    assert [text for text, _ in after] == [text for text, _ in before]
    assert not {proof for _, proof in after} & {proof for _, proof in before}
    deployment.run_all()
    assert [deployment.code(command) for command in commands] == ["done"] * 2


def test_who_may_not_have_a_command_run_cannot_replay_it(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = put("a")
    deployment.client(deployment.keys[OWNER]).submit(command)
    adapters: Any = deployment.runtime.executor.adapters
    run = adapters.run

    def fails(*arguments: object) -> object:
        broken = PermissionDenied("not for us", next_step="grant it")
        return [replace(end, result=None, error=broken) for end in run(*arguments)]

    with monkeypatch.context() as patch:
        patch.setattr(adapters, "run", fails)
        deployment.run_all()
    deployment.client(deployment.keys[NEIGHBOUR]).replay([command.ref])
    deployment.run_all()
    assert deployment.code(command) == "NOT_GRANTED"


def test_where_whose_keys_count_cannot_be_told_commands_wait(deployment: SignedDeployment) -> None:
    def nobody_knows(position: str | None) -> PrincipalOf:
        raise RegistryUnproven("the list of principals is missing", next_step="set it again")

    deployment.runtime.registry.policies.set(
        OWNER,
        Terms(signatures=Signatures.REQUIRED),
        Change(actor="test", reason="test", change_id=new_op_id()),
    )
    for floor in (Signatures.REQUIRED, Signatures.OFF):
        deployment.set(floor)
        executor = deployment.runtime.executor
        waiting = replace(executor, proofs=replace(deployment.proofs, authors_at=nobody_knows))
        deployment.runtime.drains = ParcelDrain(waiting, deployment.runtime.parcels, "w")
        command = put(f"a-{floor}")
        deployment.client(deployment.keys[OWNER]).submit(command)
        deployment.runtime.drains.run(Ring(tuple(deployment.ledger.shards.tags), "object_store.0"))
        [record] = deployment.ledger.records([command.ref])
        assert record is not None
        assert record.state == "queued"
        assert record.waits_for is not None
        assert record.waits_for.code == "REGISTRY_UNPROVEN"


def test_what_cannot_run_takes_no_op_id_either_where_whose_keys_count_cannot_be_told(
    deployment: SignedDeployment, state: State
) -> None:
    """Whoever writes the ledger writes the registry too, and would take op_ids for good."""

    def nobody_knows(position: str | None) -> PrincipalOf:
        raise RegistryUnproven("the list of principals is missing", next_step="set it again")

    command = put("a", op_id="one")
    record = f"{deployment.ledger.shards.of(command.ref)}:op:{command.ref}"
    executor = deployment.runtime.executor
    for fields in ({"cmd": "{}"}, {"cmd": command.model_dump_json(), "att": 99}):
        deployment.ledger.submit([Intent(command, "object_store.0")])
        state.call("HSET", record, *[part for pair in fields.items() for part in pair])
        deployment.runtime.executor = replace(
            executor, proofs=replace(deployment.proofs, authors_at=nobody_knows)
        )
        deployment.run_all()
        assert deployment.code(command) == "open"
        deployment.runtime.executor = executor
        deadline = time.monotonic() + 60
        while deployment.code(command) != "SIGNATURE_MISSING":
            assert time.monotonic() < deadline
            deployment.run_all()
    assert (
        deployment.client(deployment.keys[OWNER]).submit(command).receipt.acceptance
        is Acceptance.NEW
    )


def test_what_a_policy_observes_is_counted(deployment: SignedDeployment) -> None:
    deployment.set(Signatures.OFF)
    deployment.runtime.registry.policies.set(
        OWNER,
        Terms(signatures=Signatures.OBSERVE),
        Change(actor="test", reason="test", change_id=new_op_id()),
    )
    deployment.client(None).submit_many([put(f"a{n}") for n in range(5)])
    deployment.client(deployment.keys[OWNER]).submit_many([put(f"b{n}") for n in range(5)])
    deployment.run_all()
    totals = deployment.ledger.totals()
    assert (totals["done"], totals["unproven"]) == (10, 5)


def test_what_a_policy_alone_requires_takes_no_op_id_unless_it_is_proven(
    deployment: SignedDeployment, state: State
) -> None:
    deployment.set(Signatures.OFF)
    deployment.registry.policies.set(OWNER, Terms(signatures=Signatures.REQUIRED), by())
    unrouted = put("a", op_id="unrouted").model_copy(update={"env": "dev"})
    alone = put("b", b"y" * 70_000, op_id="alone").model_copy(update={"env": "dev"})
    place = {"tenant_id": OWNER, "env": "dev", "resource_kind": "object_store"}
    change = DeleteRoute.model_validate(
        place | {"op_id": "change", "actor": "a", "reason": "because"}
    )
    unsigned: list[Command] = [unrouted, alone]
    deployment.client(None).submit_many(unsigned)
    deployment.ledger.submit([Intent(change, "object_store.0")])
    used_up, unreadable = put("c", op_id="used-up"), put("d", op_id="unreadable")
    for command, *fields in ((used_up, "att", 99), (unreadable, "cmd", "{}")):
        deployment.ledger.submit([Intent(command, "object_store.0")])
        record = f"{deployment.ledger.shards.of(command.ref)}:op:{command.ref}"
        state.call("HSET", record, *fields)
    deployment.run_all()
    unsigned += [change, used_up, unreadable]
    for each in unsigned:
        assert deployment.code(each) == "SIGNATURE_MISSING", each.op_id
        record = f"{deployment.ledger.shards.of(each.ref)}:op:{each.ref}"
        assert state.call("HGET", record, "fp") == b"", each.op_id
    client = deployment.client(deployment.keys[OWNER])
    submissions = client.submit_many([unrouted, alone, used_up, unreadable])
    assert {s.receipt.acceptance for s in submissions} == {Acceptance.NEW}
    deployment.run_all()
    # What is signed keeps its op_id: it may be replayed once there is a route.
    assert [deployment.code(c) for c in (unrouted, alone)] == ["ROUTE_NOT_FOUND"] * 2
    assert {s.receipt.acceptance for s in client.submit_many([unrouted])} == {Acceptance.KNOWN}
    assert [deployment.code(c) for c in (used_up, unreadable)] == ["done"] * 2


def test_of_other_tenants_than_the_policys_nothing_is_asked(deployment: SignedDeployment) -> None:
    deployment.set(Signatures.OFF)
    deployment.registry.policies.set(OWNER, Terms(signatures=Signatures.REQUIRED), by())
    theirs = put("a", tenant=NEIGHBOUR)
    unrouted = put("b", tenant=NEIGHBOUR).model_copy(update={"env": "dev"})
    deployment.client(None).submit_many([theirs, unrouted])
    deployment.run_all()
    assert [deployment.code(c) for c in (theirs, unrouted)] == ["done", "ROUTE_NOT_FOUND"]


@pytest.mark.parametrize("floor", [Signatures.OFF, Signatures.REQUIRED])
def test_what_was_refused_runs_when_it_comes_again_and_nothing_is_wrong(
    deployment: SignedDeployment, state: State, floor: Signatures
) -> None:
    """A message is known for a week; one that was refused has not run, and is not lost for that."""
    deployment.registry.policies.set(OWNER, Terms(signatures=Signatures.REQUIRED), by())
    unsigned, early = put("a", op_id="unsigned"), put("b", op_id="early")
    message = token(deployment.keys[OWNER], early)
    principals = dict(deployment.principals)
    deployment.set(Signatures.OFF)  # both are recorded, whatever is to become of them
    deployment.principals.clear()
    deployment.carry(unsigned.model_dump(mode="json"))
    deployment.carry(message, "m2")
    assert deployment.code(unsigned) == "SIGNATURE_MISSING"
    assert deployment.code(early) == "SIGNATURE_INVALID"
    deployment.principals |= principals
    deployment.set(floor)
    for _ in range(2):  # and the second time it is known
        deployment.carry(token(deployment.keys[OWNER], unsigned), "m3")
        deployment.carry(message, "m4")
    for command in (unsigned, early):
        [record] = deployment.ledger.records([command.ref])
        assert record is not None
        assert (record.state, record.attempt) == ("done", 1)
